/**
 * Whether this member could apply an entry, told before the entry enters its log. An entry that
 * cannot be understood ends the member when it is applied, since skipping it would let its state
 * drift away from the others'; so it is not taken from others in the first place.
 *
 * It says nothing about what the entry will do: that depends on the state it meets.
 */

import { decodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { decodeConfChange, decodeConfChangeV2 } from '../codec/raftpb.ts';
import { decode } from '../codec/wire.ts';
import type { ConfChange, Entry } from '../raft/messages.ts';
import { clusterVersionProblem, parseVersion } from '../version.ts';
import { jointChangeOf } from './joint-change.ts';
import { memberOf } from './members.ts';
import type { Command } from './outcome.ts';
import { commandOf, decodeV2Request, isV2Request } from './v2-request.ts';

/** `null`: it could. */
export function entryProblem({ type, data }: Entry): string | null {
  // A leader opens its term with an empty one.
  if (type === 'normal' && data.length === 0) return null;
  try {
    switch (type) {
      case 'normal':
        return commandProblem(data);
      case 'conf-change':
        readMember(decodeConfChange(data));
        return null;
      case 'conf-change-v2':
        for (const change of jointChangeOf(decodeConfChangeV2(data)).changes) readMember(change);
        return null;
    }
  } catch (error) {
    // Whatever reading it throws, applying it would throw too.
    return `an entry cannot be read: ${error instanceof Error ? error.message : error}`;
  }
}

function commandProblem(data: Uint8Array): string | null {
  if (isV2Request(data)) {
    const command = commandOf(decodeV2Request(data));
    return command === null ? null : versionProblem(command);
  }
  const { header, request } = decode(decodeInternalRaftRequest, data);
  if (header === null || request === null) return 'an entry holds no request';
  return versionProblem(request);
}

function versionProblem(command: Command): string | null {
  if (command.case !== 'clusterVersionSet') return null;
  const { ver } = command.value;
  if (parseVersion(ver) === null) return 'the version of the cluster is none';
  return clusterVersionProblem(ver);
}

function readMember({ type, nodeId, context }: ConfChange): void {
  if (nodeId === null || type === 'remove-node') return;
  memberOf(Buffer.from(context).toString('utf8'), nodeId);
}
