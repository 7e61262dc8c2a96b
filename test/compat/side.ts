// One of the two servers under comparison, and how an operation is put to it.
import { Metadata } from '@grpc/grpc-js';
import { type GrpcAnswer, GrpcClient } from './client.ts';
import { httpRequest } from './http-client.ts';
import { compactJson, newestErrorBody, requestJson } from './json-text.ts';
import type { Operation } from './operations.ts';
import { decode, encode, type Message, method } from './proto.ts';
import type { Prng } from './random.ts';
import type { Server } from './servers.ts';

export type Via = 'grpc' | 'json';

/** What came back: the outcome, the exact messages, and the messages decoded. */
export interface Answer {
  readonly outcome: string;
  readonly exact: readonly string[];
  readonly messages: readonly Message[];
  readonly raw: string;
}

const ROUTES: Readonly<Record<string, string>> = {
  'KV/Range': '/v3/kv/range',
  'KV/Put': '/v3/kv/put',
  'KV/DeleteRange': '/v3/kv/deleterange',
  'KV/Txn': '/v3/kv/txn',
  'KV/Compact': '/v3/kv/compaction',
  'Lease/LeaseGrant': '/v3/lease/grant',
  'Lease/LeaseRevoke': '/v3/lease/revoke',
  'Lease/LeaseKeepAlive': '/v3/lease/keepalive',
  'Lease/LeaseTimeToLive': '/v3/lease/timetolive',
  'Lease/LeaseLeases': '/v3/lease/leases',
  'Maintenance/HashKV': '/v3/maintenance/hashkv',
  'Maintenance/Status': '/v3/maintenance/status',
  'Maintenance/Alarm': '/v3/maintenance/alarm',
  'Maintenance/Defragment': '/v3/maintenance/defragment',
  'Maintenance/Downgrade': '/v3/maintenance/downgrade',
  'Maintenance/MoveLeader': '/v3/maintenance/transfer-leadership',
  'Cluster/MemberAdd': '/v3/cluster/member/add',
  'Cluster/MemberRemove': '/v3/cluster/member/remove',
  'Cluster/MemberUpdate': '/v3/cluster/member/update',
  'Cluster/MemberPromote': '/v3/cluster/member/promote',
  'Cluster/MemberList': '/v3/cluster/member/list',
  'Auth/Authenticate': '/v3/auth/authenticate',
  'Auth/AuthStatus': '/v3/auth/status',
  'Auth/AuthEnable': '/v3/auth/enable',
  'Auth/AuthDisable': '/v3/auth/disable',
  'Auth/RoleAdd': '/v3/auth/role/add',
  'Auth/RoleDelete': '/v3/auth/role/delete',
  'Auth/RoleGet': '/v3/auth/role/get',
  'Auth/RoleList': '/v3/auth/role/list',
  'Auth/RoleGrantPermission': '/v3/auth/role/grant',
  'Auth/RoleRevokePermission': '/v3/auth/role/revoke',
  'Auth/UserAdd': '/v3/auth/user/add',
  'Auth/UserChangePassword': '/v3/auth/user/changepw',
  'Auth/UserDelete': '/v3/auth/user/delete',
  'Auth/UserGet': '/v3/auth/user/get',
  'Auth/UserList': '/v3/auth/user/list',
  'Auth/UserGrantRole': '/v3/auth/user/grant',
  'Auth/UserRevokeRole': '/v3/auth/user/revoke',
  'Election/Leader': '/v3/election/leader',
  'Lock/Lock': '/v3/lock/lock',
  'Lock/Unlock': '/v3/lock/unlock',
};

/** Methods that answer with a stream. */
const STREAMS: readonly string[] = ['KV/RangeStream', 'Maintenance/Snapshot'];

/** What goes with a request beside it: metadata over gRPC, header fields over HTTP. */
export type Headers = Readonly<Record<string, string>>;

export function metadataOf(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

/** An operation made ready to send: the same bytes or text go to both sides. */
export interface Prepared {
  readonly operation: Operation;
  readonly via: Via;
  readonly bytes: Buffer;
  readonly json: string;
}

export function prepare(operation: Operation, via: Via, prng: Prng | null): Prepared {
  const { request: type } = method(operation.method);
  const chosen = operation.grpcOnly === true ? 'grpc' : via;
  const bytes = operation.bytes ?? encode(type, operation.request);
  const json = chosen === 'json' ? requestJson(type, operation.request, prng) : '';
  return { operation, via: chosen, bytes, json };
}

export class Side {
  readonly label: string;
  readonly version: string;
  readonly port: number;
  readonly grpc: GrpcClient;

  constructor(server: Server) {
    this.label = server.label;
    this.version = server.version;
    this.port = server.port;
    this.grpc = new GrpcClient(server.endpoint);
  }

  async ask(prepared: Prepared, headers: Headers = {}): Promise<Answer> {
    if (prepared.via === 'json') return this.#askJson(prepared, headers);
    return this.#askGrpc(prepared, metadataOf(headers));
  }

  async slowWatchers(): Promise<number> {
    const { body } = await httpRequest(this.port, { method: 'GET', path: '/metrics' });
    return Number(/^etcd_debugging_mvcc_slow_watcher_total (\S+)/m.exec(body)?.[1] ?? 0);
  }

  close(): void {
    this.grpc.close();
  }

  async #askGrpc({ operation, bytes }: Prepared, metadata: Metadata): Promise<Answer> {
    const { method: name } = operation;
    const { response } = method(name);
    let answer: GrpcAnswer;
    if (STREAMS.includes(name)) answer = await this.grpc.serverStream(name, bytes, metadata);
    else if (name === 'Lease/LeaseKeepAlive') answer = await this.#keepAlive(bytes, metadata);
    else answer = await this.grpc.unary(name, bytes, metadata);
    const messages = answer.messages.map((message) => decode(response, message));
    // etcd: protobuf-go writes a plain or a no-break space after its prefix, by build.
    const text = answer.text.replaceAll('\u00a0', ' ');
    const outcome = `grpc ${answer.code} ${JSON.stringify(text)}`;
    return {
      outcome,
      exact: answer.messages.map((message) => message.toString('hex')),
      messages,
      raw: `${outcome} ${messages.map(plain).join(' ')}`,
    };
  }

  async #keepAlive(bytes: Buffer, metadata: Metadata): Promise<GrpcAnswer> {
    const stream = this.grpc.bidi('Lease/LeaseKeepAlive', metadata);
    stream.send(bytes);
    stream.halfClose();
    const { code, text } = await stream.finished();
    return { code, text, messages: stream.messages };
  }

  async #askJson({ operation, json }: Prepared, headers: Headers): Promise<Answer> {
    const path = ROUTES[operation.method] ?? '/no-route';
    const answer = await httpRequest(this.port, { method: 'POST', path, body: json, headers });
    const type = String(answer.headers['content-type']);
    const ok = answer.status === 200;
    const text = type.includes('json') ? newestErrorBody(compactJson(answer.body)) : answer.body;
    return {
      outcome: `http ${answer.status} ${type}${ok ? '' : ` ${text}`}`,
      exact: [text],
      messages: type.includes('json') ? [JSON.parse(text) as Message] : [],
      raw: `http ${answer.status} ${text}`,
    };
  }
}

/** A message as one line of text; bytes as quoted latin1, so that binary keys stay readable. */
export function plain(message: unknown): string {
  return JSON.stringify(message, (_key, value: unknown) => {
    const json = value as { type?: string; data?: number[] } | null;
    if (json !== null && typeof json === 'object' && json.type === 'Buffer') {
      return Buffer.from(json.data ?? []).toString('latin1');
    }
    return value;
  });
}
