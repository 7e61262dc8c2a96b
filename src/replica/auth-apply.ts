/**
 * What authentication says to entries of the log when they are applied: whether who proposed them
 * may do so by now, and the entries that change users and roles. Every member answers the same.
 */

import { type AuthStore, ROOT } from '../auth/auth-store.ts';
import type { Identity } from '../auth/identity.ts';
import { type Permission, type Role, Type } from '../codec/gen/authpb.ts';
import type {
  DeleteRangeRequest,
  PutRequest,
  RequestOp,
  TxnRequest,
} from '../codec/gen/etcdserverpb.ts';
import { type EtcdError, errors } from '../errors.ts';
import type { Lessor } from '../lease/lessor.ts';
import { EMPTY_KEY, type Index, type Key, keyFromBytes, type LeaseId } from '../types.ts';
import type { AuthOutcomes, Command } from './outcome.ts';

export interface AuthState {
  readonly auth: AuthStore;
  readonly lessor: Pick<Lessor, 'get'>;
}

/** `null`, or why this command may not be applied for `who`. */
export function checkCommand(command: Command, who: Identity, state: AuthState): EtcdError | null {
  const { auth } = state;
  if (!auth.enabled) return null;
  switch (command.case) {
    case 'put':
      return checkPut(command.value, who, state);
    case 'deleteRange':
      return checkDelete(command.value, who, state);
    case 'txn':
      return checkTxnAccess(command.value, who, state);
    case 'leaseRevoke':
      return checkLeaseKeys(command.value.id, who, state);
    case 'authUserGet':
      return command.value.name === who.user ? null : auth.checkAdmin(who);
    case 'authRoleGet':
      return auth.hasRole(who.user, command.value.role) ? null : auth.checkAdmin(who);
    case 'authEnable':
    case 'authDisable':
    case 'authUserAdd':
    case 'authUserDelete':
    case 'authUserChangePassword':
    case 'authUserGrantRole':
    case 'authUserRevokeRole':
    case 'authUserList':
    case 'authRoleAdd':
    case 'authRoleDelete':
    case 'authRoleGrantPermission':
    case 'authRoleRevokePermission':
    case 'authRoleList':
      return auth.checkAdmin(who);
    default:
      return null;
  }
}

/** Both branches and the comparisons, whichever will be taken. */
export function checkTxnAccess(
  request: TxnRequest,
  who: Identity,
  state: AuthState,
): EtcdError | null {
  for (const { key, rangeEnd } of request.compare) {
    const refused = state.auth.check(who, 'read', key, rangeEnd);
    if (refused !== null) return refused;
  }
  for (const op of [...request.success, ...request.failure]) {
    const refused = checkOp(op, who, state);
    if (refused !== null) return refused;
  }
  return null;
}

function checkOp({ request }: RequestOp, who: Identity, state: AuthState): EtcdError | null {
  switch (request?.case) {
    case 'requestRange':
      return state.auth.check(who, 'read', request.value.key, request.value.rangeEnd);
    case 'requestPut':
      return checkPut(request.value, who, state);
    case 'requestDeleteRange':
      return checkDelete(request.value, who, state);
    case 'requestTxn':
      return checkTxnAccess(request.value, who, state);
    default:
      return null;
  }
}

/**
 * etcd: with its lease the key dies, so who attaches one must be allowed to write what is attached
 * to it already.
 */
function checkPut(
  { key, lease, prevKv }: PutRequest,
  who: Identity,
  state: AuthState,
): EtcdError | null {
  const refused = state.auth.check(who, 'write', key) ?? checkLeaseKeys(lease, who, state);
  if (refused !== null || !prevKv) return refused;
  return state.auth.check(who, 'read', key);
}

function checkDelete(
  { key, rangeEnd, prevKv }: DeleteRangeRequest,
  who: Identity,
  { auth }: AuthState,
): EtcdError | null {
  const refused = auth.check(who, 'write', key, rangeEnd);
  if (refused !== null || !prevKv) return refused;
  return auth.check(who, 'read', key, rangeEnd);
}

function checkLeaseKeys(id: LeaseId, who: Identity, { auth, lessor }: AuthState): EtcdError | null {
  const lease = lessor.get(id);
  if (lease === null || auth.checkAdmin(who) === null) return null;
  for (const key of lease.keys) {
    const refused = auth.check(who, 'write', key);
    if (refused !== null) return refused;
  }
  return null;
}

type AuthCommand = Extract<Command, { readonly case: keyof AuthOutcomes }>;
export type AuthResult = AuthOutcomes[keyof AuthOutcomes] | EtcdError;

/** `previous` is the index of the entry before this one. */
export function applyAuth(command: AuthCommand, auth: AuthStore, previous: Index): AuthResult {
  switch (command.case) {
    case 'authEnable':
      return auth.enable();
    case 'authDisable':
      return auth.disable();
    case 'authStatus':
      return { enabled: auth.enabled, revision: auth.revision };
    case 'authenticate':
      // etcd: since 3.5, what makes a token unique is the index that was applied last.
      return auth.authenticate(command.value, previous);
    case 'authUserAdd':
      return auth.addUser(command.value);
    case 'authUserDelete':
      return auth.deleteUser(command.value.name);
    case 'authUserChangePassword':
      return auth.changePassword(command.value);
    case 'authUserGrantRole':
      return auth.grantRole(command.value.user, command.value.role);
    case 'authUserRevokeRole':
      return auth.revokeRole(command.value.name, command.value.role);
    case 'authUserGet': {
      const user = auth.user(command.value.name);
      return user === null ? errors.userNotFound : { roles: user.roles };
    }
    case 'authUserList':
      return { names: auth.userNames() };
    case 'authRoleAdd':
      return auth.addRole(command.value.name);
    case 'authRoleDelete':
      return auth.deleteRole(command.value.role);
    case 'authRoleGrantPermission':
      return auth.grantPermission(command.value);
    case 'authRoleRevokePermission':
      return auth.revokePermission(command.value);
    case 'authRoleGet': {
      const role = auth.role(command.value.role);
      return role === null ? errors.roleNotFound : { permissions: permissionsShown(role) };
    }
    case 'authRoleList':
      return { names: auth.roleNames() };
  }
}

const EVERYTHING: readonly Permission[] = [
  { permType: Type.READWRITE, key: EMPTY_KEY, rangeEnd: '\x00' as Key },
];

/** etcd: a role named root shows what root may do, whatever was granted to it. */
function permissionsShown({ name, keyPermission }: Role): readonly Permission[] {
  return keyFromBytes(name) === ROOT ? EVERYTHING : keyPermission;
}
