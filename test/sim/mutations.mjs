// Rules of the product, each broken by a change of its source text that exists only while a run of
// the simulation loads it. What the simulation does not notice, it does not check.

/** @typedef {import('./bundle.mjs').Patch} Patch */

/** @type {Readonly<Record<string, readonly Patch[]>>} */
export const mutations = {
  'a vote is not persisted': [
    {
      file: 'src/wal/wal.ts',
      from: 'this.#frames.state(this.#written);\n  }\n\n  #commit(',
      to: 'this.#frames.state({ ...this.#written, vote: null });\n  }\n\n  #commit(',
    },
  ],
  "an old term's entry is committed by counting": [
    {
      file: 'src/raft/raft-log.ts',
      from: 'if (index <= this.#commit || !this.matches(index, term)) return false;',
      to: 'if (index <= this.#commit) return false;',
    },
  ],
  'an entry is acknowledged before its sync': [
    { file: 'src/wal/wal.ts', from: 'this.#file.syncNow();', to: '' },
    {
      file: 'src/wal/wal.ts',
      from: 'await this.#file.sync();\n      this.#observe',
      to: 'this.#observe',
    },
  ],
  'a read is served without a quorum': [
    {
      file: 'src/raft/read-index.ts',
      from: 'core.reads.takeConfirmed(core.id, voters, votersOutgoing)',
      to: 'core.reads.takeConfirmed(core.id, [core.id], [])',
    },
    {
      file: 'src/raft/read-index.ts',
      from: 'core.outbox.readsDue = true;',
      to: 'core.outbox.readsDue = true;\n  answerConfirmedReads(core);',
    },
  ],
  'a read does not wait until the leader knows the commit index': [
    {
      file: 'src/raft/read-index.ts',
      from: 'if (core.log.termAt(core.log.commit) === core.term) addRead',
      to: 'if (core.id !== null) addRead',
    },
  ],
  'a new leader lets leases end that the old one has renewed': [
    {
      file: 'src/lease/lessor.ts',
      from: 'this.#expiryAfter(seconds) + extendTicks;',
      to: 'this.#nowTicks + Math.floor(extendTicks / 4);',
    },
  ],
  'a watcher that catches up goes live too early': [
    {
      file: 'src/mvcc/watch-hub.ts',
      from: 'if (watcher.nextRevision > this.#store.revision) this.#goLive(watcher);',
      to: 'if (watcher.nextRevision >= this.#store.revision) this.#goLive(watcher);',
    },
  ],
};
