/**
 * What etcd's log calls an error that a client is told by another text: the words of the package in
 * which it arose.
 */

import { type EtcdError, errors } from '../errors.ts';

const texts: ReadonlyMap<EtcdError, string> = new Map([
  [errors.compacted, 'mvcc: required revision has been compacted'],
  [errors.futureRev, 'mvcc: required revision is a future revision'],
  [errors.noSpace, 'etcdserver: no space'],
  [errors.leaseNotFound, 'lease not found'],
  [errors.leaseExist, 'lease already exists'],
  [errors.leaseTtlTooLarge, 'too large lease TTL'],
  [errors.rootUserNotExist, 'auth: root user does not exist'],
  [errors.rootRoleNotExist, 'auth: root user does not have root role'],
  [errors.userAlreadyExist, 'auth: user already exists'],
  [errors.userEmpty, 'auth: user name is empty'],
  [errors.userNotFound, 'auth: user not found'],
  [errors.roleAlreadyExist, 'auth: role already exists'],
  [errors.roleNotFound, 'auth: role not found'],
  [errors.roleEmpty, 'auth: role name is empty'],
  [errors.authFailed, 'auth: authentication failed, invalid user ID or password'],
  [errors.permissionNotGiven, 'auth: permission not given'],
  [errors.permissionDenied, 'auth: permission denied'],
  [errors.roleNotGranted, 'auth: role is not granted to the user'],
  [errors.permissionNotGranted, 'auth: permission is not granted to the role'],
  [errors.authNotEnabled, 'auth: authentication is not enabled'],
  [errors.authOldRevision, 'auth: revision in header is old'],
  [errors.invalidAuthToken, 'auth: invalid auth token'],
  [errors.invalidAuthMgmt, 'auth: invalid auth management'],
]);

export function appliedErrorText(error: EtcdError): string {
  return texts.get(error) ?? error.message;
}
