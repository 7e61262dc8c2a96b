import type { MemberId, LeaseId } from '../types.ts';
export class PeerClient {
  constructor(_o: unknown) {}
  async members(url: string, ms: number): Promise<any> {
    const r = await fetch(`${url}/members`, { signal: AbortSignal.timeout(ms) });
    const text = (await r.text()).replace(/"id":(\d+)/g, '"id":"$1"');
    return { clusterId: BigInt(`0x${r.headers.get('x-etcd-cluster-id')}`), members: JSON.parse(text).map((m: any) => ({ id: BigInt(m.id), name: m.name ?? '', peerUrls: m.peerURLs, clientUrls: m.clientURLs ?? [], isLearner: m.isLearner === true })) };
  }
  async version(url: string, ms: number): Promise<any> {
    const r = await fetch(`${url}/version`, { signal: AbortSignal.timeout(ms) });
    const v: any = await r.json();
    return { server: v.etcdserver, cluster: v.etcdcluster };
  }
  async downgradeEnabled(_u: string, _ms: number) { return false; }
  async promote(_u: string, _id: MemberId, _t: string | null, _s: AbortSignal): Promise<any> { throw new Error('no'); }
  async leaseKeepAlive(_u: string, _id: LeaseId, _s: AbortSignal): Promise<any> { throw new Error('no'); }
  async leaseTimeToLive(_u: string, _i: LeaseId, _k: boolean, _s: AbortSignal): Promise<any> { throw new Error('no'); }
}
