/** Hedge transport: message stream only, plus snapshot POST. */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { decodeMessage, encodeMessage } from '../codec/raftpb.ts';
import type { Clock, PeerAddress, PeerEvents, Peers, SnapMessage, StateImage } from '../ports.ts';
import type { Message } from '../raft/messages.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';

interface Opts { memberId: MemberId; clusterId: ClusterId; peerUrls: readonly string[]; clock: Clock }
interface P { id: MemberId; urls: readonly string[]; out: ServerResponse | null; dialing: boolean; since: number | null; req: ReturnType<typeof httpRequest> | null }

function frame(m: Message): Buffer {
  const b = encodeMessage(m);
  const f = Buffer.alloc(8 + b.length);
  f.writeBigUInt64BE(BigInt(b.length), 0);
  f.set(b, 8);
  return f;
}
const BEAT = Buffer.from('00000000000000020808', 'hex');

export class Transport implements Peers {
  #o: Opts; #peers = new Map<MemberId, P>(); #events: PeerEvents | null = null; #stop: (() => void) | null = null; #closed = false;
  #agent = new Agent({ keepAlive: true });
  constructor(o: Opts) { this.#o = o; }
  start(e: PeerEvents) {
    this.#events = e;
    let n = 0;
    this.#stop = this.#o.clock.every(100, () => { n++; for (const p of this.#peers.values()) { if (!p.dialing) this.#dial(p); if (n % 16 === 0) p.out?.write(BEAT); } });
  }
  #headers(to?: MemberId) {
    const h: Record<string, string> = { 'X-Server-From': hexId(this.#o.memberId), 'X-Server-Version': '3.7.1', 'X-Min-Cluster-Version': '3.0.0', 'X-Etcd-Cluster-ID': hexId(this.#o.clusterId), 'X-PeerURLs': this.#o.peerUrls.join(',') };
    if (to !== undefined) h['X-Raft-To'] = hexId(to);
    return h;
  }
  #dial(p: P) {
    if (this.#closed) return;
    p.dialing = true;
    const u = p.urls[0];
    if (u === undefined) { p.dialing = false; return; }
    const end = () => { p.dialing = false; p.since = p.out === null ? null : p.since; };
    const req = httpRequest(`${u}/raft/stream/message/${hexId(this.#o.memberId)}`, { headers: this.#headers(p.id), agent: false }, (res) => {
      if (res.statusCode === 410) this.#events?.removed();
      if (res.statusCode !== 200) { res.resume(); end(); return; }
      p.since ??= this.#o.clock.monotonic();
      let buf: Buffer = Buffer.alloc(0);
      res.on('data', (c: Buffer) => {
        buf = buf.length === 0 ? c : Buffer.concat([buf, c]);
        while (buf.length >= 8) {
          const n = Number(buf.readBigUInt64BE(0));
          if (buf.length < 8 + n) break;
          const m = decodeMessage(Buffer.from(buf.subarray(8, 8 + n)));
          buf = Buffer.from(buf.subarray(8 + n));
          if (m !== null && m.from !== 0n) this.#events?.message(m);
        }
      });
      res.on('close', end); res.on('error', end);
    });
    p.req = req;
    req.on('error', end);
    req.end();
  }
  send(ms: readonly Message[]) {
    for (const m of ms) {
      const p = this.#peers.get(m.to);
      if (p === undefined) continue;
      if (p.out === null) this.#events?.unreachable(m.to);
      else p.out.write(frame(m));
    }
  }
  sendSnapshot(m: SnapMessage, image: StateImage, _s: AbortSignal): Promise<boolean> {
    const p = this.#peers.get(m.to);
    return new Promise((resolve) => {
      const done = (ok: boolean) => { image.close().then(() => resolve(ok)); };
      if (p?.urls[0] === undefined) return done(false);
      const req = httpRequest(`${p.urls[0]}/raft/snapshot`, { method: 'POST', headers: { ...this.#headers(), 'Content-Type': 'application/octet-stream' }, agent: false }, (res) => { res.resume(); done(res.statusCode === 204); });
      req.on('error', () => done(false));
      req.write(frame(m));
      (async () => { for await (const c of image.read()) if (!req.write(c)) await new Promise((r) => req.once('drain', r)); req.end(); })().catch(() => req.destroy());
    });
  }
  setMembers(ms: readonly PeerAddress[], removed: ReadonlySet<MemberId>) {
    for (const m of ms) {
      if (m.id === this.#o.memberId) continue;
      const p = this.#peers.get(m.id);
      if (p === undefined) this.#peers.set(m.id, { id: m.id, urls: m.peerUrls, out: null, dialing: false, since: null, req: null });
      else p.urls = m.peerUrls;
    }
    for (const id of removed) { const p = this.#peers.get(id); p?.req?.destroy(); p?.out?.end(); this.#peers.delete(id); }
  }
  activeSinceMs(id: MemberId) { return this.#peers.get(id)?.since ?? null; }
  async close() { this.#closed = true; this.#stop?.(); for (const p of this.#peers.values()) { p.req?.destroy(); p.out?.destroy(); } this.#agent.destroy(); }
  handle(q: IncomingMessage, r: ServerResponse): boolean {
    const url = q.url ?? '';
    const s = /^\/raft\/stream\/(message|msgapp)\/([0-9a-f]+)$/.exec(url);
    if (s) {
      const p = this.#peers.get(BigInt(`0x${s[2]}`) as MemberId);
      r.setHeader('X-Server-Version', '3.7.1'); r.setHeader('X-Etcd-Cluster-Id', hexId(this.#o.clusterId));
      if (p === undefined) { r.writeHead(404).end('error sender not found\n'); return true; }
      r.writeHead(200); r.flushHeaders();
      if (s[1] === 'message') { p.out?.destroy(); p.out = r; r.on('close', () => { if (p.out === r) p.out = null; }); }
      return true;
    }
    if (url === '/raft/snapshot') {
      (async () => {
        const it = q[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
        let buf = Buffer.alloc(0); let n = -1;
        while (n < 0 || buf.length < 8 + n) { const c = await it.next(); if (c.done) throw new Error('short'); buf = Buffer.concat([buf, c.value]); if (n < 0 && buf.length >= 8) n = Number(buf.readBigUInt64BE(0)); }
        const m = decodeMessage(Buffer.from(buf.subarray(8, 8 + n))) as SnapMessage;
        const rest = buf.subarray(8 + n);
        await this.#events?.snapshot(m, (async function* () { yield rest; for (;;) { const c = await it.next(); if (c.done) return; yield c.value; } })());
        r.writeHead(204).end();
      })().catch((e) => r.writeHead(500).end(`${e}\n`));
      return true;
    }
    return false;
  }
}
export function createPeerServer(t: Transport): Server { return createServer((q, r) => { if (!t.handle(q, r)) r.writeHead(404).end('404 page not found\n'); }); }
