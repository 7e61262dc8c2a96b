// Methods that this server does not have yet: it answers Unimplemented, and the comparison does not
// send them. Whoever implements a method takes it off this list, and it is compared from then on.
// An Unimplemented answer to anything else is a difference like any other.
export const LATER: ReadonlySet<string> = new Set([
  'Auth/AuthDisable',
  'Auth/AuthEnable',
  'Auth/AuthStatus',
  'Auth/Authenticate',
  'Auth/RoleAdd',
  'Auth/RoleDelete',
  'Auth/RoleGet',
  'Auth/RoleGrantPermission',
  'Auth/RoleList',
  'Auth/RoleRevokePermission',
  'Auth/UserAdd',
  'Auth/UserChangePassword',
  'Auth/UserDelete',
  'Auth/UserGet',
  'Auth/UserGrantRole',
  'Auth/UserList',
  'Auth/UserRevokeRole',
]);

/** The JSON routes of the methods of the list. */
const ROUTES: Readonly<Record<string, string>> = {
  '/v3/auth/authenticate': 'Auth/Authenticate',
  '/v3/auth/disable': 'Auth/AuthDisable',
  '/v3/auth/enable': 'Auth/AuthEnable',
  '/v3/auth/status': 'Auth/AuthStatus',
  '/v3/auth/role/add': 'Auth/RoleAdd',
};

/** The method that an etcdctl command calls, for the commands that call one of the list. */
const CTL_METHODS: Readonly<Record<string, string>> = {
  'auth disable': 'Auth/AuthDisable',
  'auth enable': 'Auth/AuthEnable',
  'auth status': 'Auth/AuthStatus',
  'role add': 'Auth/RoleAdd',
  'role delete': 'Auth/RoleDelete',
  'role get': 'Auth/RoleGet',
  'role grant-permission': 'Auth/RoleGrantPermission',
  'role list': 'Auth/RoleList',
  'role revoke-permission': 'Auth/RoleRevokePermission',
  'user add': 'Auth/UserAdd',
  'user delete': 'Auth/UserDelete',
  'user get': 'Auth/UserGet',
  'user grant-role': 'Auth/UserGrantRole',
  'user list': 'Auth/UserList',
  'user passwd': 'Auth/UserChangePassword',
  'user revoke-role': 'Auth/UserRevokeRole',
};

/** Whether a method, named like `Auth/UserAdd`, comes later. */
export function comesLater(method: string): boolean {
  return LATER.has(method);
}

/** Whether an etcdctl command needs a method that comes later. */
export function commandComesLater([command = '', verb = '']: readonly string[]): boolean {
  const method = CTL_METHODS[`${command} ${verb}`];
  return method !== undefined && LATER.has(method);
}

/** Whether a gRPC path such as `/etcdserverpb.Auth/UserAdd`, or a JSON route, comes later. */
export function pathComesLater(path: string): boolean {
  return LATER.has(ROUTES[path] ?? path.replace(/^\/[a-z0-9]+\./, ''));
}
