// What a cluster answers to a story of commands and calls, as lines in which nothing is left that
// may differ between two clusters on the same seats: times, sizes, positions in the log, and the
// ids of members that were added, which come from the clock.
import { spawn } from 'node:child_process';
import { Metadata } from '@grpc/grpc-js';
import { GrpcClient } from './client.ts';
import { type ClusterServers, endpoint, type Seat } from './cluster-servers.ts';
import { httpRequest } from './http-client.ts';
import { newestErrorBody } from './json-text.ts';
import { decode, type Message, method } from './proto.ts';
import { until } from './servers.ts';
import { plain } from './side.ts';

const COMMAND_MS_MAX = 30_000;
const LEADER_MS_MAX = 30_000;
const PASSING_MS_MAX = 30_000;

export interface Call {
  readonly name: string;
  readonly request: Message;
  readonly at: Seat;
  readonly hasLeader?: boolean;
}

export interface Status {
  readonly leader: string;
  readonly member: string;
  readonly isLearner: boolean;
}

export class Transcript {
  readonly servers: ClusterServers;
  readonly seats: readonly Seat[];
  /** By chapter. */
  readonly lines = new Map<string, string[]>();
  readonly #ctl: string;
  readonly #newIds: bigint[] = [];
  readonly #seatIds = new Map<string, bigint>();
  #chapter: string[] = [];

  constructor(servers: ClusterServers, seats: readonly Seat[], ctl: string) {
    this.servers = servers;
    this.seats = seats;
    this.#ctl = ctl;
  }

  chapter(title: string): void {
    this.#chapter = [];
    this.lines.set(title, this.#chapter);
  }

  /** Runs etcdctl at these seats. `{m1}` stands for a member's id, `{new1}` for an added one. */
  async ctl(command: string, at: readonly Seat[]): Promise<string> {
    const args = command
      .split(' ')
      .map((word) => word.replace(/\{(\w+)\}/g, (_, name: string) => hex(this.id(name))));
    const endpoints = `--endpoints=${at.map(endpoint).join(',')}`;
    const { code, out, err } = await run(this.#ctl, [...args, endpoints]);
    this.#learnIds(out);
    // Its client's own log is no answer of the server.
    const told = err.split('\n').filter((line) => !line.startsWith('{"level"'));
    const shown = sorted(this.#mask(arranged(out, command)), command);
    const text = `${shown}\n${this.#mask(told.join('\n'))}`;
    this.#chapter.push(`${command} @${names(at)}\nexit ${code}\n${text}`);
    return out;
  }

  /** As `ctl`, until the answer is another one: what holds only for a while is not noted. */
  async ctlUnless(passing: RegExp, command: string, at: readonly Seat[]): Promise<void> {
    await until(
      `an answer to ${command}`,
      async () => {
        await this.ctl(command, at);
        if (!passing.test(this.#chapter.at(-1) ?? '')) return true;
        this.#chapter.pop();
        return null;
      },
      PASSING_MS_MAX,
    );
  }

  /** Calls methods over gRPC, all at once, and notes what comes of them in this order. */
  async calls(calls: readonly Call[]): Promise<void> {
    this.#chapter.push(...(await Promise.all(calls.map((call) => this.called(call)))));
  }

  async called({ name, request, at, hasLeader = false }: Call): Promise<string> {
    const client = new GrpcClient(endpoint(at), COMMAND_MS_MAX);
    const metadata = new Metadata();
    if (hasLeader) metadata.set('hasleader', 'true');
    const { code, text, messages } =
      name === 'Lease/LeaseKeepAlive' || name === 'Watch/Watch'
        ? await stream(client, name, request, metadata)
        : await client.unary(name, request, metadata);
    client.close();
    const { response } = method(name);
    const told = messages.map((message) => plain(decode(response, message)));
    const how = hasLeader ? ' hasleader' : '';
    return `${name}${how} @${at.name}\n${code} ${text}\n${this.#mask(told.join('\n'))}`;
  }

  async post(path: string, body: string, seat: Seat): Promise<void> {
    const answer = await httpRequest(seat.port, { method: 'POST', path, body });
    const text = newestErrorBody(answer.body);
    this.#chapter.push(`${path} @${seat.name}\nhttp ${answer.status} ${this.#mask(text)}`);
  }

  note(line: string): void {
    this.#chapter.push(line);
  }

  async status(seat: Seat): Promise<Status | null> {
    const client = new GrpcClient(endpoint(seat), 2000);
    const { code, messages } = await client.unary('Maintenance/Status', {});
    client.close();
    const [bytes] = messages;
    if (code !== 0 || bytes === undefined) return null;
    const status = decode(method('Maintenance/Status').response, bytes);
    const { header, leader, isLearner } = status as {
      header: { member_id: string };
      leader?: string;
      isLearner?: boolean;
    };
    return { leader: leader ?? '0', member: header.member_id, isLearner: isLearner === true };
  }

  /** Waits until all of these know the same leader, and makes it the first of them. */
  async settle(seats: readonly Seat[]): Promise<void> {
    const [first] = seats;
    if (first === undefined) throw new Error('a leader among nobody');
    const agreed = await until(
      'one leader',
      async () => {
        const known = await Promise.all(seats.map((seat) => this.status(seat)));
        const leaders = new Set(known.map((status) => status?.leader ?? '0'));
        return leaders.size === 1 && !leaders.has('0') ? known : null;
      },
      LEADER_MS_MAX,
    );
    const wanted = agreed[0]?.member ?? '0';
    if (agreed[0]?.leader === wanted) return;
    const at = seats[agreed.findIndex((status) => status?.member === status?.leader)];
    if (at === undefined) throw new Error('the leader is none of these');
    const client = new GrpcClient(endpoint(at));
    await client.unary('Maintenance/MoveLeader', { targetID: wanted });
    client.close();
    await this.settle(seats);
  }

  /** Waits until each of these knows of so many members. */
  async members(count: number, seats: readonly Seat[]): Promise<void> {
    for (const seat of seats) {
      const client = new GrpcClient(endpoint(seat));
      await until(`${count} members at ${seat.name}`, async () => {
        const { messages } = await client.unary('Cluster/MemberList', {});
        const [bytes] = messages;
        if (bytes === undefined) return null;
        const list = decode(method('Cluster/MemberList').response, bytes) as { members?: [] };
        return list.members?.length === count ? true : null;
      });
      client.close();
    }
  }

  /** Waits until this member knows that it was promoted. */
  async promoted(seat: Seat): Promise<void> {
    await until(`${seat.name} is a voter`, async () =>
      (await this.status(seat))?.isLearner === false ? true : null,
    );
  }

  /** Waits until this member knows no leader. */
  async leaderless(seat: Seat): Promise<void> {
    await until(
      `${seat.name} without a leader`,
      async () => ((await this.status(seat))?.leader === '0' ? true : null),
      LEADER_MS_MAX,
    );
  }

  /** By the name of the seat for founding members; `new1`, `new2`, … are those added. */
  id(name: string): bigint {
    const added = /^new(\d+)$/.exec(name)?.[1];
    const id = added === undefined ? this.#seatIds.get(name) : this.#newIds[Number(added) - 1];
    if (id === undefined) throw new Error(`no member ${name}`);
    return id;
  }

  /** Reads the ids of the founding members from a member list. */
  async learnSeats(seats: readonly Seat[]): Promise<void> {
    for (const seat of seats) {
      const status = await this.status(seat);
      if (status !== null) this.#seatIds.set(seat.name, BigInt(status.member));
    }
  }

  #learnIds(out: string): void {
    const added = /Member +([0-9a-f]+) added/.exec(out)?.[1];
    if (added !== undefined) this.#newIds.push(BigInt(`0x${added}`));
  }

  #mask(text: string): string {
    let masked = text
      .replace(/\b\d+(\.\d+)?(µ|Âµ|m|n)?s\b/g, 'TIME')
      .replace(/\b\d+(\.\d+)? ?(B|kB|MB|GB)\b/g, 'SIZE')
      .replace(/\b\d+%/g, 'PERCENT')
      .replace(
        /"(dbSize|dbSizeInUse|raft_?(term|index|applied_?index))" ?: ?"?\d+"?/gi,
        (_, field: string) => `"${field}":N`,
      )
      .replace(/"storageVersion":"3\.\d\.0"/g, '"storageVersion":"STORAGE"')
      // Some of a lease's 100 seconds have passed when it is asked for.
      .replace(/"TTL":"9\d"/g, '"TTL":"9x"');
    for (const [i, id] of this.#newIds.entries()) {
      masked = masked.replaceAll(hex(id), `NEW${i + 1}`).replaceAll(String(id), `NEW${i + 1}`);
    }
    // Ids are padded with blanks.
    return masked.replace(/ +NEW/g, ' NEW');
  }
}

/** Where members stand in a list depends on their ids, which for added ones come from the clock. */
function arranged(out: string, command: string): string {
  if (!out.startsWith('{') || !command.startsWith('member')) return out;
  const parsed = JSON.parse(quotedNumbers(out)) as { members?: { peerURLs: string[] }[] };
  parsed.members?.sort((a, b) => (String(a.peerURLs) < String(b.peerURLs) ? -1 : 1));
  return JSON.stringify(parsed);
}

function sorted(text: string, command: string): string {
  const lines = text
    .replace(/(?<=ETCD_INITIAL_CLUSTER=")[^"]+/, (list) => list.split(',').sort().join(','))
    .split('\n')
    .map(withoutPositions);
  const isList = /^(member list|endpoint (status|health))( --\S+)?$/.test(command);
  return (isList ? lines.sort() : lines).join('\n');
}

/**
 * `endpoint status` as plain text: term, index and applied index follow two flags. The version of
 * the storage follows that of the cluster after a while.
 */
function withoutPositions(line: string): string {
  const known = line.replace(/, 3\.\d\.0, SIZE/, ', STORAGE, SIZE');
  return known.replace(/(true|false), (true|false), \d+, \d+, \d+,/, '$1, $2, N, N, N,');
}

/** Ids are beyond what a JavaScript number holds. */
function quotedNumbers(json: string): string {
  return json.replace(/:(\d+)([,}])/g, ':"$1"$2');
}

async function stream(client: GrpcClient, name: string, request: Message, metadata: Metadata) {
  const call = client.bidi(name, metadata);
  const timer = setTimeout(() => call.cancel(), COMMAND_MS_MAX);
  call.send(request);
  if (name === 'Lease/LeaseKeepAlive') call.halfClose();
  const { code, text } = await call.finished();
  clearTimeout(timer);
  return { code, text, messages: call.messages };
}

function run(
  path: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(path, args, { env: { PATH: process.env['PATH'] ?? '' } });
  let [out, err] = ['', ''];
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX);
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString('utf8');
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

function names(seats: readonly Seat[]): string {
  return seats.map(({ name }) => name).join(',');
}

function hex(id: bigint): string {
  return id.toString(16);
}
