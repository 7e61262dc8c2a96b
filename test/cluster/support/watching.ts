// Watchers of a range that survive their streams: each goes on, at whichever member it is given,
// from the revision after the last it saw. This file refuses to know what is right to see.

import type { BidiStream } from '../../compat/client.ts';
import { decode, type Message, method } from '../../compat/proto.ts';
import { until } from '../../compat/servers.ts';
import type { WatchRecord } from '../../support/history.ts';
import type { Event } from '../../support/model.ts';
import { Api } from './api.ts';
import type { Member } from './member.ts';

const READ_MS_MAX = 60_000;
const RESUME_MS = 50;
const EVERYTHING = '\0';

interface Watched {
  readonly client: string;
  readonly key: string;
  readonly rangeEnd?: string;
  readonly startRevision: number;
}

export class Follower {
  readonly #what: Watched;
  readonly #member: () => Member;
  readonly #events: Event[] = [];
  #stream: BidiStream | null = null;
  #api: Api | null = null;
  #closed = false;
  #failure: string | null = null;

  /** `member` is asked for again at each resume. */
  constructor(what: Watched, member: () => Member) {
    this.#what = what;
    this.#member = member;
    this.#open();
  }

  /** The newest revision of which there was an event. */
  get seen(): number {
    if (this.#failure !== null) throw new Error(this.#failure);
    return this.#events.at(-1)?.revision ?? 0;
  }

  /** Resolves when it has seen as many of the events as are for it, or when the time is over. */
  async waitFor(log: readonly Event[], msMax: number): Promise<void> {
    const due = log.filter((event) => this.#wants(event)).length;
    const deadline = Date.now() + msMax;
    const done = () => {
      if (this.#failure !== null) throw new Error(this.#failure);
      return this.#events.length >= due || Date.now() > deadline ? true : null;
    };
    await until(`${this.#what.client} is done`, done, 2 * msMax);
  }

  #wants({ key }: Event): boolean {
    const { key: from, rangeEnd } = this.#what;
    return rangeEnd === undefined ? key === from : from <= key && key < rangeEnd;
  }

  record(through: number): WatchRecord {
    return { ...this.#what, events: this.#events, through };
  }

  close(): void {
    this.#closed = true;
    this.#stream?.cancel();
    this.#api?.close();
  }

  #open(): void {
    if (this.#closed) return;
    this.#api?.close();
    this.#api = new Api(this.#member().endpoint);
    const stream = this.#api.watch();
    this.#stream = stream;
    stream.onMessage = (bytes) => this.#take(bytes);
    const { key, rangeEnd, startRevision } = this.#what;
    const start_revision = `${Math.max(startRevision, this.seen + 1)}`;
    const range = rangeEnd === undefined ? {} : { range_end: Buffer.from(rangeEnd, 'latin1') };
    stream.send({ create_request: { key: Buffer.from(key, 'latin1'), ...range, start_revision } });
    // One look at a time: a member that is down must not be asked without pause.
    stream.finished().then(
      () => setTimeout(() => this.#open(), RESUME_MS),
      (error: unknown) => {
        this.#failure = String(error);
      },
    );
  }

  #take(bytes: Buffer): void {
    const response = decode(method('Watch/Watch').response, bytes);
    if (response['canceled'] === true) {
      this.#failure = `${this.#what.client} was cancelled: ${JSON.stringify(response)}`;
      return;
    }
    for (const event of (response['events'] ?? []) as Message[]) this.#events.push(eventOf(event));
  }
}

/** Every event of the store up to a revision, as one member tells it. */
export async function readLog(member: Member, through: number): Promise<readonly Event[]> {
  // A range end of one zero byte means: to the end.
  const everything = { key: EVERYTHING, rangeEnd: EVERYTHING, startRevision: 1 };
  const reader = new Follower({ client: 'log', ...everything }, () => member);
  try {
    const done = () => (through <= 1 || reader.seen >= through ? true : null);
    await until(`${member.name} tells its history up to ${through}`, done, READ_MS_MAX);
    return reader.record(through).events;
  } finally {
    reader.close();
  }
}

function eventOf(event: Message): Event {
  const kv = event['kv'] as Message;
  const key = String(kv['key']);
  const revision = Number(kv['mod_revision']);
  if (event['type'] === 1) return { type: 'delete', revision, key };
  const lease = BigInt(String(kv['lease'] ?? 0));
  return { type: 'put', revision, key, value: String(kv['value'] ?? ''), lease };
}
