/**
 * What applying an entry yields for the member that proposed it: the answer without its header,
 * which the service adds, or an error from the catalogue.
 */

import type { Permission } from '../codec/gen/authpb.ts';
import type { AlarmMember, InternalRaftRequest, ResponseOp } from '../codec/gen/etcdserverpb.ts';
import type { EncodedKeyValue } from '../codec/key-value.ts';
import type { EtcdError } from '../errors.ts';
import type { LeaseId, Revision } from '../types.ts';

export interface PutOutcome {
  readonly revision: Revision;
  readonly prevKv: EncodedKeyValue | null;
}

export interface DeleteRangeOutcome {
  readonly revision: Revision;
  readonly deleted: number;
  readonly prevKvs: readonly EncodedKeyValue[];
}

export interface TxnOutcome {
  readonly revision: Revision;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface CompactOutcome {
  readonly revision: Revision;
}

export interface LeaseGrantOutcome {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
}

export interface AlarmOutcome {
  readonly alarms: readonly AlarmMember[];
}

export interface AuthStatusOutcome {
  readonly enabled: boolean;
  readonly revision: number;
}

export interface NamesOutcome {
  readonly names: readonly string[];
}

export interface AuthOutcomes {
  readonly authEnable: null;
  readonly authDisable: null;
  readonly authStatus: AuthStatusOutcome;
  readonly authenticate: { readonly token: string };
  readonly authUserAdd: null;
  readonly authUserDelete: null;
  readonly authUserChangePassword: null;
  readonly authUserGrantRole: null;
  readonly authUserRevokeRole: null;
  readonly authUserGet: { readonly roles: readonly string[] };
  readonly authUserList: NamesOutcome;
  readonly authRoleAdd: null;
  readonly authRoleDelete: null;
  readonly authRoleGrantPermission: null;
  readonly authRoleRevokePermission: null;
  readonly authRoleGet: { readonly permissions: readonly Permission[] };
  readonly authRoleList: NamesOutcome;
}

/** Request kinds of the log and what applying them answers. */
export interface Outcomes extends AuthOutcomes {
  readonly put: PutOutcome;
  readonly deleteRange: DeleteRangeOutcome;
  readonly txn: TxnOutcome;
  readonly compaction: CompactOutcome;
  readonly leaseGrant: LeaseGrantOutcome;
  readonly leaseRevoke: null;
  readonly leaseCheckpoint: null;
  readonly alarm: AlarmOutcome;
  readonly clusterVersionSet: null;
  readonly clusterMemberAttrSet: null;
  readonly downgradeInfoSet: null;
}

export type Command = NonNullable<InternalRaftRequest['request']>;
export type CommandOf<C extends Command['case']> = Extract<Command, { readonly case: C }>['value'];
export type ProposalKind = keyof Outcomes;
export type Outcome = Outcomes[ProposalKind];
export type Result = Outcome | EtcdError;
