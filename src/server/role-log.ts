/** etcd's lines about elections; harnesses and operators wait for them. */

import type { Log } from '../log.ts';
import type { Role } from '../raft/raft.ts';
import { hexId, type MemberId } from '../types.ts';

export function createRoleLog(log: Log): (role: Role, self: MemberId) => void {
  const raft = log.named('raft');
  let before: Role | null = null;
  return (role, self) => {
    const { state, lead, term } = role;
    const me = hexId(self);
    if (before?.state !== state || before.term !== term) {
      raft.info(`${me} became ${state} at term ${term}`);
    }
    const old = before?.lead ?? null;
    before = role;
    if (old === lead) return;
    if (lead === null) {
      raft.info(`raft.node: ${me} lost leader ${hexId(old ?? 0n)} at term ${term}`);
    } else if (old === null) {
      raft.info(`raft.node: ${me} elected leader ${hexId(lead)} at term ${term}`);
    } else {
      const change = `changed leader from ${hexId(old)} to ${hexId(lead)}`;
      raft.info(`raft.node: ${me} ${change} at term ${term}`);
    }
  };
}
