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
import { encodeConfChange, Member, NEW_GROUP } from './member.ts';
import { parseCommand } from './story.ts';

type Options = ReadonlyMap<string, string>;
type Command = (world: World, args: readonly string[], options: Options) => void;

/** Rounds after which a group that is still busy is not going to become quiet. */
const ROUNDS_MAX = 200;

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
  restart: (world, args) => world.restart(idOf(args[0])),
  ready: (world, args) => world.ready(world.at(args)),
  write: (world, args) => world.write(world.at(args)),
  deliver: (world, args, options) => world.deliver(idOf(args[0]), options.get('type'), 'arrives'),
  lose: (world, args, options) => world.deliver(idOf(args[0]), options.get('type'), 'lost'),
  cut: (world, args) => world.cut.add(idOf(args[0])),
  mend: (world, args) => world.cut.delete(idOf(args[0])),
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
  readonly cut = new Set<MemberId>();
  #network: Message[] = [];
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
    const options = this.#settings;
    const member = new Member({
      id,
      start,
      text: '',
      fold: (text, entry) => (entry.type === 'normal' ? text + textOf(entry) : text),
      // Low ids lose patience first.
      random: { below: (n) => (Number(id) - 1) % n, u64: () => 0n },
      settings: {
        electionTicks: 3,
        heartbeatTicks: 1,
        preVote: options.get('prevote') === 'on',
        checkQuorum: options.get('checkquorum') === 'on',
        appendBytesMax: Number(options.get('bytes') ?? 1_000_000),
        appendsInflightMax: Number(options.get('inflight') ?? 256),
        applyBytesMax: 1_000_000,
      },
    });
    this.#members.set(id, member);
    member.takeReady();
  }

  restart(id: MemberId): void {
    this.member(id).restart(false);
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
    const { raft } = this.at(args);
    const context = new Uint8Array(0);
    let taken: boolean;
    if (options.get('v1') === 'on') {
      const [first] = changes;
      const data = encodeConfChange({ id: 0n, context, ...must(first, 'a change') });
      taken = raft.proposeMembership('conf-change', data);
    } else {
      const transition = (options.get('transition') ?? 'auto') as ConfChangeTransition;
      taken = raft.proposeMembership(
        'conf-change-v2',
        encodeConfChange({ transition, changes, context }),
      );
    }
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
      const apart = this.cut.has(message.from) || this.cut.has(message.to);
      const known = this.#members.has(message.to);
      this.print(`${describeMessage(message)}${apart || !known ? ' lost' : ''}`);
      if (!apart && known) this.#network.push(message);
    }
  }

  deliver(to: MemberId, type: string | undefined, fate: 'arrives' | 'lost' | 'quietly'): void {
    const due = this.#network.filter((m) => m.to === to && (type ?? m.type) === m.type);
    this.#network = this.#network.filter((m) => !due.includes(m));
    for (const message of due) {
      if (fate !== 'quietly') this.print(`${describeMessage(message)} ${fate}`);
      if (fate !== 'lost') this.member(to).raft.step(message);
      this.#checker.check([this.member(to).raft]);
    }
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
      for (const id of ids) this.deliver(id, undefined, 'quietly');
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
  assert(word.startsWith('learner:'), 'a change is +id, -id or learner:id');
  return { type: 'add-learner-node', nodeId: idOf(word.slice('learner:'.length)) };
}
