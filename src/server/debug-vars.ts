/** `/debug/vars`: etcd's expvar page, one entry per line. */

import { openFilesLimit } from '../metrics/process-families.ts';
import type { Replica } from '../replica/replica.ts';
import { hexId } from '../types.ts';

export function debugVars(replica: Replica): string {
  const status = replica.raftStatus();
  const entries: Record<string, unknown> = {
    cmdline: process.argv,
    // etcd: 0 where the limit cannot be known.
    file_descriptor_limit: openFilesLimit() ?? 0,
    'raft.status': {
      id: hexId(replica.memberId),
      term: replica.term,
      vote: status.vote === null ? '0' : hexId(status.vote),
      commit: replica.commit,
      lead: replica.lead === null ? '0' : hexId(replica.lead),
      raftState: STATE_NAMES[status.state],
      applied: replica.applied,
      progress: {},
      leadtransferee: '0',
    },
    memstats: process.memoryUsage(),
  };
  const lines = Object.entries(entries).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  return `{\n${lines.join(',\n')}\n}\n`;
}

const STATE_NAMES = {
  follower: 'StateFollower',
  'pre-candidate': 'StatePreCandidate',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
} as const;
