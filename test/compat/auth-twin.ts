// Two servers under authentication, in lockstep: random users, roles, permissions, logins, and
// requests of all services with tokens good, old and made up. It stops at the first answer that
// differs in code, text or data. Tokens are each server's own, so a login is kept as a pair.
import {
  type AuthWorld,
  firstUsers,
  GARBAGE_TOKENS,
  learnPasswords,
  ROOT,
  randomCarrier,
  randomLogin,
  randomManagement,
  randomRequest,
  readyToEnable,
} from './auth-operations.ts';
import type { Operation } from './operations.ts';
import type { Message } from './proto.ts';
import { Prng } from './random.ts';
import { type Answer, type Headers, type Prepared, plain, prepare, type Side } from './side.ts';
import { differ, isSuccess } from './twin.ts';
import { MARKER_KEY, WatchPair } from './watch-pair.ts';

const LOGINS_MAX = 12;
const CHECKPOINT_EVERY = 100;
const STREAMS_MAX = 2;
const SIMPLE_TOKEN = /^[a-zA-Z]{16}\.(\d+)$/;

const WEIGHTS = { request: 66, manage: 16, login: 12, watch: 5, toggle: 1 } as const;

export interface AuthTwinOptions {
  readonly sides: readonly [Side, Side];
  readonly seed: number;
  readonly operations: number;
  /** Signed tokens with one key on both sides, so each must take the other's. */
  readonly signed: boolean;
}

/** A login: the token of each side. */
interface Login {
  readonly user: string;
  readonly tokens: readonly [string, string];
}

type Pair = readonly [Headers, Headers];
const ANONYMOUS: Pair = [{}, {}];

export class AuthTwin {
  readonly #sides: readonly [Side, Side];
  readonly #options: AuthTwinOptions;
  readonly #prng: Prng;
  readonly #world: AuthWorld = {
    revision: 1n,
    compacted: -1n,
    leases: new Map(),
    enabled: false,
    passwords: new Map(),
    locks: 0,
  };
  /** Old ones stay until there are too many: they must be refused on both sides alike. */
  readonly #logins: Login[] = [];
  /** As far as is known, its tokens work. */
  #rootLogin: Login | null = null;
  readonly #streams: WatchPair[] = [];
  readonly #outcomes = new Map<string, number>();
  #count = 0;

  constructor(options: AuthTwinOptions) {
    this.#sides = options.sides;
    this.#options = options;
    this.#prng = new Prng(options.seed);
  }

  /** How often each outcome was seen, by method. */
  async run(): Promise<ReadonlyMap<string, number>> {
    try {
      await this.#enable();
      for (const operation of firstUsers(this.#prng)) await this.#step(operation, 100);
      while (this.#count < this.#options.operations) {
        this.#count += 1;
        if (this.#count % CHECKPOINT_EVERY === 0) await this.#checkpoint();
        else await this.#randomStep();
      }
      await this.#checkpoint();
    } finally {
      for (const stream of this.#streams) stream.close();
    }
    return this.#outcomes;
  }

  async #randomStep(): Promise<void> {
    const prng = this.#prng;
    switch (prng.weighted(WEIGHTS)) {
      case 'request':
        return await this.#step(randomRequest(prng, this.#world), 10);
      case 'manage':
        return await this.#step(randomManagement(prng), 60);
      case 'login':
        return await this.#step(randomLogin(prng, this.#world), 0);
      case 'watch':
        return await this.#watch();
      case 'toggle': {
        const method = prng.pick(['Auth/AuthEnable', 'Auth/AuthDisable']);
        await this.#step({ method, request: {} }, 50);
      }
    }
    if (!this.#world.enabled && prng.chance(25)) await this.#enable();
  }

  /** As somebody; root now and then, so that some of it works. */
  async #step(operation: Operation, rootPercent: number): Promise<void> {
    const prng = this.#prng;
    // A21: the gateway lists the members for everybody.
    const mayBeJson = operation.method !== 'Cluster/MemberList';
    const via = prng.chance(50) || !mayBeJson ? 'grpc' : 'json';
    const prepared = prepare(operation, via, prng);
    const asRoot = this.#world.enabled && prng.chance(rootPercent);
    const headers = asRoot ? await this.#root(prepared.via) : this.#anyone(prepared.via);
    await this.#ask(prepared, headers);
  }

  #anyone(via: 'grpc' | 'json'): Pair {
    const prng = this.#prng;
    const kind = prng.weighted({ login: 80, none: 8, garbage: 8, crossed: 4 });
    const carry = randomCarrier(prng, via);
    if (kind === 'garbage') {
      const token = prng.pick(GARBAGE_TOKENS);
      return [carry(token), carry(token)];
    }
    if (kind === 'none' || this.#logins.length === 0) return ANONYMOUS;
    // Signed tokens are old after every change, so the last one is worth more.
    const recent = this.#options.signed && prng.chance(60) ? this.#logins.slice(-1) : this.#logins;
    const [a, b] = prng.pick(recent).tokens;
    const crossed = kind === 'crossed' && this.#options.signed;
    return crossed ? [carry(b), carry(a)] : [carry(a), carry(b)];
  }

  /** With a token of root that works, if root can log in. */
  async #root(via: 'grpc' | 'json'): Promise<Pair> {
    const password = this.#world.passwords.get(ROOT);
    if (typeof password !== 'string') return ANONYMOUS;
    const fresh = this.#rootLogin === null || this.#options.signed || this.#prng.chance(20);
    if (fresh) this.#rootLogin = await this.#login(ROOT, password);
    const login = this.#rootLogin;
    const carry = via === 'grpc' ? 'token' : 'authorization';
    const headers = (token: string): Headers => ({ [carry]: token });
    return login === null ? ANONYMOUS : [headers(login.tokens[0]), headers(login.tokens[1])];
  }

  async #login(name: string, password: string): Promise<Login | null> {
    const before = this.#logins.at(-1);
    const operation = { method: 'Auth/Authenticate', request: { name, password } };
    await this.#ask(prepare(operation, 'grpc', null), ANONYMOUS);
    const last = this.#logins.at(-1);
    return last === undefined || last === before ? null : last;
  }

  async #ask(prepared: Prepared, headers: Pair): Promise<Answer> {
    const [left, right] = this.#sides;
    let [a, b] = await Promise.all([
      left.ask(prepared, headers[0]),
      right.ask(prepared, headers[1]),
    ]).catch((error: Error) => this.#fail(`no answer: ${error.message}`, prepared, headers, []));
    const { method } = prepared.operation;
    if (method === 'Auth/Authenticate') [a, b] = this.#takeTokens(prepared, [a, b]);
    if (method === 'Maintenance/Snapshot') [a, b] = [outcomeOnly(a), outcomeOnly(b)];
    const found = differ(prepared.operation, a, b, this.#world);
    if (found !== null) this.#fail(found, prepared, headers, [a, b]);
    const seen = `${method} ${a.outcome.replace(/^http \d+ \S+ ?|^grpc /, '').slice(0, 80)}`;
    this.#outcomes.set(seen, (this.#outcomes.get(seen) ?? 0) + 1);
    this.#learn(prepared.operation, a);
    if (
      method === 'KV/Compact' &&
      isSuccess(a) &&
      prepared.operation.request['physical'] !== true
    ) {
      // As in twin.ts: a physical compaction, refused or not, waits for the one before.
      const { request } = prepared.operation;
      const again = { method, request: { ...request, physical: true } };
      await this.#ask(prepare(again, 'grpc', null), headers.map(asMetadata) as unknown as Pair);
    }
    return a;
  }

  #learn(operation: Operation, answer: Answer): void {
    if (!isSuccess(answer)) return;
    const { method, request } = operation;
    const world = this.#world;
    const header = answer.messages.at(-1)?.['header'] as Message | undefined;
    const revision = BigInt(String(header?.['revision'] ?? '0'));
    if (revision > world.revision) world.revision = revision;
    if (method === 'KV/Compact') world.compacted = BigInt(String(request['revision'] ?? '0'));
    if (method === 'Lease/LeaseGrant') {
      world.leases.set(String(request['ID']), BigInt(String(request['TTL'])));
    }
    if (method === 'Lease/LeaseRevoke') world.leases.delete(String(request['ID']));
    if (method === 'Auth/AuthEnable') world.enabled = true;
    if (method === 'Auth/AuthDisable') world.enabled = false;
    learnPasswords(world, operation);
    const forgotten = /AuthDisable|UserChangePassword|UserDelete/.test(method);
    if (forgotten && (request['name'] ?? ROOT) === ROOT) this.#rootLogin = null;
  }

  /** Keeps the tokens and takes what is random out of the answers. */
  #takeTokens(prepared: Prepared, answers: readonly [Answer, Answer]): [Answer, Answer] {
    const [a, b] = answers;
    if (!isSuccess(a) || !isSuccess(b)) return [a, b];
    const [left, right] = [tokenOf(a), tokenOf(b)];
    const user = String(prepared.operation.request['name']);
    this.#logins.push({ user, tokens: [left, right] });
    if (this.#logins.length > LOGINS_MAX) {
      this.#logins.splice(this.#prng.below(LOGINS_MAX), 1);
    }
    return [withoutToken(a, left), withoutToken(b, right)];
  }

  /** Whatever there is, auth is on afterwards, and root can log in. */
  async #enable(): Promise<void> {
    for (const operation of readyToEnable()) {
      await this.#ask(prepare(operation, this.#prng.pick(['grpc', 'json']), null), ANONYMOUS);
    }
    const password = this.#world.passwords.get(ROOT);
    if (!this.#world.enabled || typeof password !== 'string') {
      this.#fail('root cannot log in any more', null, ANONYMOUS, []);
    }
    this.#rootLogin = await this.#login(ROOT, password);
  }

  /** Root sees the same stores, and each watcher the same events. */
  async #checkpoint(): Promise<void> {
    const asRoot = async (method: string, request: Message): Promise<Answer> => {
      const headers = this.#world.enabled ? await this.#root('grpc') : ANONYMOUS;
      return await this.#ask(prepare({ method, request }, 'grpc', null), headers);
    };
    const key = Buffer.from(MARKER_KEY);
    const put = await asRoot('KV/Put', { key, value: Buffer.from('m') });
    if (!isSuccess(put)) this.#fail('root can do nothing', null, ANONYMOUS, [put]);
    for (const stream of this.#streams) {
      await stream.settle(this.#world.revision);
      const found = await stream.difference();
      if (found !== null) this.#fail(found, null, ANONYMOUS, []);
    }
    await asRoot('Maintenance/HashKV', { revision: `${this.#world.revision}` });
    await asRoot('Auth/AuthStatus', {});
    for (const name of this.#world.passwords.keys()) await asRoot('Auth/UserGet', { name });
    for (const role of ['r', 's', 't', ROOT]) await asRoot('Auth/RoleGet', { role });
  }

  async #watch(): Promise<void> {
    const prng = this.#prng;
    // Root may read everything at any time; who may not any more is cut off here (A31).
    if (this.#streams.length < STREAMS_MAX && this.#world.enabled) {
      const via = prng.pick(['grpc', 'json'] as const);
      this.#streams.push(await WatchPair.open(this.#sides, via, true, await this.#root(via)));
    }
    const create = {
      key: Buffer.from(prng.pick(['', '\x00', 'a', 'b', 'b/1', 'c', '\xff']), 'latin1'),
      ...(prng.chance(60)
        ? { range_end: Buffer.from(prng.pick(['\x00', 'c', 'b0', '\xff\xff', 'a']), 'latin1') }
        : {}),
    };
    if (this.#streams.length > 0 && this.#world.enabled && prng.chance(30)) {
      return await prng.pick(this.#streams).create(create);
    }
    // A stream of somebody, for one request.
    const via = prng.pick(['grpc', 'json'] as const);
    const headers = this.#anyone(via);
    const stream = WatchPair.openUnmarked(this.#sides, via, headers);
    try {
      await stream.create(create);
      const found = await stream.difference();
      if (found !== null) this.#fail(found, null, headers, []);
    } finally {
      stream.close();
    }
  }

  #fail(what: string, prepared: Prepared | null, headers: Pair, answers: readonly Answer[]): never {
    const { seed, signed } = this.#options;
    const lines = [`operation ${this.#count} of seed ${seed}: ${what}`];
    if (prepared !== null) {
      const { method, request } = prepared.operation;
      lines.push(`request: ${method} over ${prepared.via}: ${plain(request)}`);
      lines.push(prepared.via === 'json' ? prepared.json : prepared.bytes.toString('hex'));
    }
    lines.push(`headers: ${plain(headers)}`);
    for (const [side, tokens] of this.#sides.map(
      (side, i) =>
        [
          side,
          this.#logins.filter((login) =>
            Object.values(headers[i] ?? {}).some(has(login.tokens[i])),
          ),
        ] as const,
    )) {
      lines.push(`${side.label}: ${tokens.map(({ user }) => user).join(', ') || 'nobody'}`);
    }
    answers.forEach((answer, i) => {
      const side = this.#sides[i];
      lines.push(`${side?.label} ${side?.version}: ${answer.raw.slice(0, 3000)}`);
    });
    lines.push(
      `again: SEED=${seed} OPS=${this.#count} npx vitest run --config vitest.compat.config.ts ` +
        `test/compat/auth-twin.test.ts -t ${signed ? 'signed' : 'simple'}`,
    );
    throw new Error(lines.join('\n'));
  }
}

function has(token: string | undefined): (value: string) => boolean {
  return (value) => token !== undefined && value.endsWith(token);
}

function asMetadata(headers: Headers): Headers {
  const { 'grpc-metadata-token': token, ...rest } = headers;
  return token === undefined ? rest : { ...rest, token };
}

function tokenOf({ messages }: Answer): string {
  return String(messages[0]?.['token'] ?? '');
}

/** The index that a simple token ends with must be equal; the letters are random. */
function withoutToken(answer: Answer, token: string): Answer {
  const index = SIMPLE_TOKEN.exec(token)?.[1];
  const shown = index === undefined ? token.replace(/\.[^.]*\.[^.]*$/, '.claims') : `.${index}`;
  const messages = answer.messages.map((message) => ({ ...message, token: shown }));
  return { ...answer, messages, exact: messages.map(plain) };
}

function outcomeOnly(answer: Answer): Answer {
  return { ...answer, exact: [], messages: [] };
}
