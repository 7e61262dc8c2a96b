/**
 * The world of a Raft scenario: members, a network that holds messages until they are delivered,
 * and the commands of the stories. Every command returns the lines that it makes visible.
 */

import { assert, must } from '../../src/assert.ts';
import { InvariantChecker } from '../../src/raft/invariants.ts';
import { EMPTY_CONF_STATE } from '../../src/raft/membership.ts';
import type {
  ConfChangeTransition,
  ConfChangeType,
  Entry,
  Message,
} from '../../src/raft/messages.ts';
import type { Role } from '../../src/raft/raft.ts';
import type { MemberId } from '../../src/types.ts';
import { describeConfig, describeMessage, describeStatus } from './describe.ts';
import { encodeConfChange, Member, type MemberSettings, NEW_GROUP } from './member.ts';
import { parseCommand } from './story.ts';

type Options = ReadonlyMap<string, string>;
type Command = (world: World, args: readonly string[], options: Options) => void;

/** Rounds after which a group that is still busy is not going to become quiet. */
const ROUNDS_MAX = 200;

const EVERYTHING: Options = new Map();

type Fate = 'arrives' | 'lost' | 'quietly';

const commands: Readonly<Record<string, Command>> = {
  group: (world, _args, options) => world.found(options),
  member: (world, args, options) => world.addEmpty(idOf(args[0]), options),
  campaign: (world, args) => {
    if (!world.at(args).raft.campaign()) world.print('refused');
  },
  elect: (world, args) => world.elect(idOf(args[0])),
  tick: (world, args) => {
    for (let left = Number(args[1] ?? 1); left > 0; left--) world.at(args).raft.tick();
  },
  propose: (world, args) => {
    for (const text of args.slice(1)) {
      if (!world.at(args).raft.propose(Buffer.from(text))) world.print(`dropped ${text}`);
    }
  },
  change: (world, args, options) => world.change(args, options),
  read: (world, args) => {
    if (!world.at(args).raft.requestRead(Buffer.from(must(args[1], 'a context')))) {
      world.print('dropped');
    }
  },
  transfer: (world, args) => world.at(args).raft.transferLeadership(idOf(args[1])),
  unreachable: (world, args) => world.at(args).raft.unreachable(idOf(args[1])),
  'snapshot-sent': (world, args) =>
    world.at(args).raft.snapshotSent(idOf(args[1]), args[2] === 'ok'),
  compact: (world, args) => {
    world.at(args).saveCheckpoint();
    world.at(args).compact(Number(args[1]));
  },
  restart: (world, args, options) => world.restart(idOf(args[0]), options),
  ready: (world, args) => world.ready(world.at(args)),
  write: (world, args) => world.write(world.at(args)),
  deliver: (world, args, options) => world.deliver(idOf(args[0]), options, 'arrives'),
  lose: (world, args, options) => world.deliver(idOf(args[0]), options, 'lost'),
  hold: (world, args, options) => world.hold(idOf(args[0]), options),
  repeat: (world, args, options) => world.repeat(idOf(args[0]), options),
  release: (world, args) => world.release(idOf(args[0])),
  cut: (world, args) => world.cut.add(cutOf(args)),
  mend: (world, args) => world.cut.delete(cutOf(args)),
  stabilize: (world, args) => world.stabilize(args.map(idOf)),
  status: (world, args) => world.printAll(describeStatus(world.at(args).raft.status())),
  log: (world, args) => world.printLog(world.at(args)),
  text: (world, args) => {
    for (const id of args) world.print(`${id}: ${world.member(idOf(id)).state.text}`);
  },
};

export class World {
  readonly #members = new Map<MemberId, Member>();
  readonly #checker = new InvariantChecker();
  /** Members without a network, as `3`, and pairs without a link, as `1-3`. */
  readonly cut = new Set<string>();
  #network: Message[] = [];
  /** On their way, but slow: delivered when they are released. */
  #held: Message[] = [];
  #printed: string[] = [];
  #settings: Options = new Map();

  run(line: string): readonly string[] {
    const { words, options } = parseCommand(line);
    const [name = '', ...args] = words;
    const command = commands[name];
    assert(command !== undefined, 'the command of a story is known');
    command(this, args, options);
    for (const member of this.#members.values()) this.#checker.check([member.raft]);
    const printed = this.#printed;
    this.#printed = [];
    return printed;
  }

  print(line: string): void {
    this.#printed.push(line);
  }

  printAll(lines: readonly string[]): void {
    for (const line of lines) this.print(line);
  }

  member(id: MemberId): Member {
    return must(this.#members.get(id), 'the member of a story exists');
  }

  at(args: readonly string[]): Member {
    return this.member(idOf(args[0]));
  }

  /** Founders that agree on a first snapshot: `voters=1,2,3 learners=4 index=10`. */
  found(options: Options): void {
    this.#settings = options;
    const voters = idsOf(options.get('voters'));
    const learners = idsOf(options.get('learners'));
    const index = Number(options.get('index') ?? 2);
    const confState = { ...EMPTY_CONF_STATE, voters, learners };
    for (const id of [...voters, ...learners]) this.#add(id, { index, term: 1, confState });
  }

  /** A member that knows nothing and waits to be added. */
  addEmpty(id: MemberId, _options: Options): void {
    this.#add(id, NEW_GROUP);
  }

  #add(id: MemberId, start: typeof NEW_GROUP): void {
    const member = new Member({
      id,
      start,
      text: '',
      fold: (text, entry) => (entry.type === 'normal' ? text + textOf(entry) : text),
      // Low ids lose patience first.
      random: { below: (n) => (Number(id) - 1) % n, u64: () => 0n },
      settings: settingsFrom(this.#settings),
    });
    this.#members.set(id, member);
    member.takeReady();
  }

  /** A crash. Options say with which settings the member comes back, if others than the group's. */
  restart(id: MemberId, options: Options): void {
    const settings = new Map([...this.#settings, ...options]);
    this.member(id).restart(false, options.size > 0 ? settingsFrom(settings) : undefined);
    this.#checker.restarted(id);
    this.member(id).takeReady();
  }

  /** An election that is not what the story is about. */
  elect(id: MemberId): void {
    const printed = this.#printed.length;
    this.member(id).raft.campaign();
    this.stabilize([]);
    this.#printed.length = printed;
    assert(this.member(id).raft.state === 'leader', 'the member named is elected');
  }

  /** `change 1 +4 -2 learner:5 transition=joint-explicit`, or `v1=on` for the older form. */
  change(args: readonly string[], options: Options): void {
    const changes = args.slice(1).map(parseChange);
    const context = new Uint8Array(0);
    const transition = (options.get('transition') ?? 'auto') as ConfChangeTransition;
    let type: 'conf-change' | 'conf-change-v2' = 'conf-change-v2';
    let data: Uint8Array = context;
    if (options.get('v1') === 'on') {
      const [first] = changes;
      type = 'conf-change';
      data = encodeConfChange({ id: 0n, context, ...must(first, 'a change') });
    } else if (changes.length > 0) {
      data = encodeConfChange({ transition, changes, context });
    }
    const taken = this.at(args).raft.proposeMembership(type, data);
    if (!taken) this.print('dropped');
  }

  ready(member: Member): void {
    const before = member.state;
    const { send, persist, apply, reads, role } = member.takeReady();
    if (role !== null) this.print(`${member.id} is ${describeRole(role)}`);
    this.#post(send);
    if (persist !== null) this.print(`${member.id} writes ${describePersist(persist)}`);
    for (const entry of apply) this.print(`${member.id} applies ${describeApplied(entry)}`);
    if (before.confState !== member.state.confState) {
      this.print(`${member.id} has ${describeConfig(member.state.confState)}`);
    }
    for (const { context, index } of reads) {
      this.print(`${member.id} may read ${Buffer.from(context).toString()} at ${index}`);
    }
  }

  write(member: Member): void {
    if (member.writing === null) return;
    const { snapshot } = member.writing;
    this.#post(member.completeWrite());
    if (snapshot !== null) {
      this.print(`${member.id} has ${describeConfig(member.state.confState)} by snapshot`);
    }
  }

  #post(messages: readonly Message[]): void {
    for (const message of messages) {
      const { from, to } = message;
      const pair = cutOf([String(from), String(to)]);
      const apart = [String(from), String(to), pair].some((name) => this.cut.has(name));
      const known = this.#members.has(message.to);
      this.print(`${describeMessage(message)}${apart || !known ? ' lost' : ''}`);
      if (!apart && known) this.#network.push(message);
    }
  }

  deliver(to: MemberId, options: Options, fate: Fate): void {
    this.#arrive(this.#take(to, options), fate);
  }

  #arrive(messages: readonly Message[], fate: Fate): void {
    for (const message of messages) {
      const { raft } = this.member(message.to);
      if (fate !== 'quietly') this.print(`${describeMessage(message)} ${fate}`);
      if (fate !== 'lost') assert(raft.step(message) === null, 'no member is refused');
      this.#checker.check([raft]);
    }
  }

  /** Takes what is on its way to a member out of the network; `from=1 type=app` choose. */
  #take(to: MemberId, options: Options): readonly Message[] {
    const from = options.get('from');
    const type = options.get('type');
    const due = this.#network.filter(
      (m) => m.to === to && (type ?? m.type) === m.type && (from ?? String(m.from)) === `${m.from}`,
    );
    this.#network = this.#network.filter((m) => !due.includes(m));
    return due;
  }

  hold(to: MemberId, options: Options): void {
    for (const message of this.#take(to, options)) {
      this.print(`${describeMessage(message)} held`);
      this.#held.push(message);
    }
  }

  /** What is on its way arrives, and a copy of it is held. */
  repeat(to: MemberId, options: Options): void {
    const due = this.#take(to, options);
    this.#held.push(...due);
    this.#arrive(due, 'arrives');
  }

  release(to: MemberId): void {
    const due = this.#held.filter((message) => message.to === to);
    this.#held = this.#held.filter((message) => message.to !== to);
    this.#arrive(due, 'arrives');
  }

  /** Lets the members named, or all, work until nothing is left to do among them. */
  stabilize(only: readonly MemberId[]): void {
    const ids = only.length > 0 ? only : [...this.#members.keys()];
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const printed = this.#printed.length;
      for (const id of ids) {
        const member = this.member(id);
        if (member.raft.hasReady()) this.ready(member);
        this.write(member);
      }
      const due = this.#network.some((message) => ids.includes(message.to));
      for (const id of ids) this.deliver(id, EVERYTHING, 'quietly');
      if (!due && this.#printed.length === printed) return;
    }
    throw new Error('the group does not become quiet');
  }

  printLog(member: Member): void {
    const { raft } = member;
    this.print(`${raft.firstIndex - 1}/${raft.termAt(raft.firstIndex - 1)} and`);
    for (let index = raft.firstIndex; index <= raft.lastIndex; index++) {
      const entry = raft.entryAt(index);
      if (entry !== null) this.print(`  ${describeApplied(entry)}`);
    }
  }
}

function settingsFrom(options: Options): MemberSettings {
  const number = (name: string, otherwise: number) => Number(options.get(name) ?? otherwise);
  return {
    electionTicks: 3,
    heartbeatTicks: 1,
    preVote: options.get('prevote') === 'on',
    checkQuorum: options.get('checkquorum') === 'on',
    appendBytesMax: number('bytes', 1_000_000),
    appendsInflightMax: number('inflight', 256),
    appendsInflightBytesMax: number('window', 1_000_000),
    uncommittedBytesMax: number('uncommitted', 1_000_000),
    readsPendingMax: number('reads', 1000),
    applyBytesMax: number('apply', 1_000_000),
  };
}

/** A member cut off from all, or two cut off from each other. */
function cutOf(args: readonly string[]): string {
  return [...args].sort().join('-');
}

function describeRole({ state, lead, term }: Role): string {
  const following = state === 'follower' ? ` of ${lead ?? 'nobody'}` : '';
  return `${state}${following} at term ${term}`;
}

function describePersist(persist: NonNullable<Member['writing']>): string {
  const parts: string[] = [];
  const { hardState, entries, snapshot, mustSync } = persist;
  if (snapshot !== null) parts.push(`snapshot ${snapshot.metadata.index}`);
  const first = entries[0]?.index;
  const last = entries.at(-1)?.index;
  if (first !== undefined)
    parts.push(first === last ? `entry ${first}` : `entries ${first}..${last}`);
  if (hardState !== null) {
    parts.push(`term ${hardState.term} vote ${hardState.vote ?? '-'} commit ${hardState.commit}`);
  }
  if (!mustSync) parts.push('(no sync)');
  return parts.join(', ');
}

function describeApplied(entry: Entry): string {
  const text = entry.type === 'normal' ? `"${textOf(entry)}"` : entry.type;
  return `${entry.index}/${entry.term} ${text}`;
}

function textOf(entry: Entry): string {
  return Buffer.from(entry.data).toString();
}

function idOf(word: string | undefined): MemberId {
  return BigInt(must(word, 'a command names a member')) as MemberId;
}

function idsOf(list: string | undefined): readonly MemberId[] {
  return list === undefined ? [] : list.split(',').map(idOf);
}

function parseChange(word: string): { readonly type: ConfChangeType; readonly nodeId: MemberId } {
  if (word.startsWith('+')) return { type: 'add-node', nodeId: idOf(word.slice(1)) };
  if (word.startsWith('-')) return { type: 'remove-node', nodeId: idOf(word.slice(1)) };
  const [kind = '', id] = word.split(':');
  assert(kind === 'learner' || kind === 'update', 'a change is +id, -id, learner:id or update:id');
  return { type: kind === 'learner' ? 'add-learner-node' : 'update-node', nodeId: idOf(id) };
}
