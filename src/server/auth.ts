/**
 * The Auth service: users, roles, and tokens for passwords. Everything goes through the log, where
 * it is also checked who may; here passwords are hashed and compared, so that no entry carries one.
 *
 * Safety: a user who does not exist costs as much time as a wrong password, so that nobody learns
 * who exists. (etcd refuses such a user at once.)
 */

import type {
  AuthDisableRequest,
  AuthEnableRequest,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserDeleteRequest,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { CommandOf, Outcomes } from '../replica/outcome.ts';
import type { Replica } from '../replica/replica.ts';
import type { Access } from './access.ts';
import { appliedErrorText } from './applied-errors.ts';
import type { AuthParts } from './auth-parts.ts';
import type { Caller } from './rpc.ts';

export interface AuthDeps extends AuthParts {
  readonly replica: Pick<Replica, 'propose' | 'readBarrier'>;
  readonly access: Access;
  readonly log: Log;
  readonly header: () => ResponseHeader;
}

/** An answer that says nothing but that it was done. */
export interface Done {
  readonly header: ResponseHeader;
}

export interface AuthService {
  enable(request: AuthEnableRequest, caller?: Caller): Promise<Done>;
  disable(request: AuthDisableRequest, caller?: Caller): Promise<Done>;
  status(request: AuthStatusRequest, caller?: Caller): Promise<AuthStatusResponse>;
  authenticate(request: AuthenticateRequest, caller?: Caller): Promise<AuthenticateResponse>;
  userAdd(request: AuthUserAddRequest, caller?: Caller): Promise<Done>;
  userGet(request: AuthUserGetRequest, caller?: Caller): Promise<AuthUserGetResponse>;
  userList(request: AuthUserListRequest, caller?: Caller): Promise<AuthUserListResponse>;
  userDelete(request: AuthUserDeleteRequest, caller?: Caller): Promise<Done>;
  userChangePassword(request: AuthUserChangePasswordRequest, caller?: Caller): Promise<Done>;
  userGrantRole(request: AuthUserGrantRoleRequest, caller?: Caller): Promise<Done>;
  userRevokeRole(request: AuthUserRevokeRoleRequest, caller?: Caller): Promise<Done>;
  roleAdd(request: AuthRoleAddRequest, caller?: Caller): Promise<Done>;
  roleGet(request: AuthRoleGetRequest, caller?: Caller): Promise<AuthRoleGetResponse>;
  roleList(request: AuthRoleListRequest, caller?: Caller): Promise<AuthRoleListResponse>;
  roleDelete(request: AuthRoleDeleteRequest, caller?: Caller): Promise<Done>;
  roleGrantPermission(request: AuthRoleGrantPermissionRequest, caller?: Caller): Promise<Done>;
  roleRevokePermission(request: AuthRoleRevokePermissionRequest, caller?: Caller): Promise<Done>;
}

function tellRefused(log: Log, user: string, error: unknown): void {
  if (!(error instanceof EtcdError) || error === errors.authNotEnabled) return;
  log.warn('invalid authentication was requested', { user, error: appliedErrorText(error) });
}

type AuthKind = Exclude<Extract<keyof Outcomes, `auth${string}`>, 'authenticate'>;

export function createAuth(deps: AuthDeps): AuthService {
  const { replica, access, tokens, passwords, log, header } = deps;
  const { auth } = access;

  async function propose<C extends AuthKind>(
    kind: C,
    request: CommandOf<C>,
    caller: Caller | undefined,
  ): Promise<Outcomes[C]> {
    return replica.propose(kind, request, await access.identify(caller));
  }

  /** A method whose answer is only that it was done. */
  function doing<C extends AuthKind>(kind: C) {
    return async (request: CommandOf<C>, caller?: Caller): Promise<Done> => {
      await propose(kind, request, caller);
      return { header: header() };
    };
  }

  async function hashed(password: string): Promise<string> {
    return Buffer.from(await passwords.hash(password)).toString('base64');
  }

  /** The auth revision at which this password was right. */
  async function checkPassword(name: string, password: string): Promise<number> {
    if (!auth.enabled) throw errors.authNotEnabled;
    const user = auth.user(name);
    if (user?.options?.noPassword === true) throw errors.noPasswordUser;
    const { revision } = auth;
    const stored = user === null ? '' : Buffer.from(user.password).toString('latin1');
    // A stored password that is empty fits none.
    if (!(await passwords.matches(password, stored === '' ? null : stored))) {
      if (user !== null) log.info('invalid password', { 'user-name': name });
      throw errors.authFailed;
    }
    return revision;
  }

  return {
    enable: doing('authEnable'),
    disable: doing('authDisable'),

    async status(request, caller) {
      const { enabled, revision } = await propose('authStatus', request, caller);
      return { header: header(), enabled, authRevision: revision };
    },

    async authenticate({ name, password }, caller) {
      await replica.readBarrier();
      for (;;) {
        const revision = await checkPassword(name, password).catch((error: unknown) => {
          tellRefused(log, name, error);
          throw error;
        });
        const command = { name, password: '', simpleToken: tokens.prefix() };
        const { token } = await replica.propose('authenticate', command);
        // Otherwise the password may have been another one by then.
        if (revision === auth.revision) return { header: header(), token };
        log.info('revision when password checked became stale; retrying');
        if (caller?.cancelled === true) throw errors.contextCanceled;
      }
    },

    async userAdd(request, caller) {
      const hashedPassword =
        request.options?.noPassword === true
          ? request.hashedPassword
          : await hashed(request.password);
      await propose('authUserAdd', { ...request, password: '', hashedPassword }, caller);
      return { header: header() };
    },

    async userGet(request, caller) {
      const { roles } = await propose('authUserGet', request, caller);
      return { header: header(), roles };
    },

    async userList(request, caller) {
      const { names } = await propose('authUserList', request, caller);
      return { header: header(), users: names };
    },

    userDelete: doing('authUserDelete'),

    // etcd: without a password it takes over what the client has hashed itself.
    async userChangePassword({ name, password, hashedPassword: given }, caller) {
      const hashedPassword = password === '' ? given : await hashed(password);
      const command = { name, password: '', hashedPassword };
      await propose('authUserChangePassword', command, caller);
      return { header: header() };
    },

    userGrantRole: doing('authUserGrantRole'),
    userRevokeRole: doing('authUserRevokeRole'),
    roleAdd: doing('authRoleAdd'),

    async roleGet(request, caller) {
      const { permissions } = await propose('authRoleGet', request, caller);
      return { header: header(), perm: permissions };
    },

    async roleList(request, caller) {
      const { names } = await propose('authRoleList', request, caller);
      return { header: header(), roles: names };
    },

    roleDelete: doing('authRoleDelete'),
    roleGrantPermission: doing('authRoleGrantPermission'),
    roleRevokePermission: doing('authRoleRevokePermission'),
  };
}
