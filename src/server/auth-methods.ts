/** The Auth service as transports find it. */

import {
  decodeAuthDisableRequest,
  decodeAuthEnableRequest,
  decodeAuthenticateRequest,
  decodeAuthRoleAddRequest,
  decodeAuthRoleDeleteRequest,
  decodeAuthRoleGetRequest,
  decodeAuthRoleGrantPermissionRequest,
  decodeAuthRoleListRequest,
  decodeAuthRoleRevokePermissionRequest,
  decodeAuthStatusRequest,
  decodeAuthUserAddRequest,
  decodeAuthUserChangePasswordRequest,
  decodeAuthUserDeleteRequest,
  decodeAuthUserGetRequest,
  decodeAuthUserGrantRoleRequest,
  decodeAuthUserListRequest,
  decodeAuthUserRevokeRoleRequest,
  encodeAuthDisableResponse,
  encodeAuthEnableResponse,
  encodeAuthenticateResponse,
  encodeAuthRoleAddResponse,
  encodeAuthRoleDeleteResponse,
  encodeAuthRoleGetResponse,
  encodeAuthRoleGrantPermissionResponse,
  encodeAuthRoleListResponse,
  encodeAuthRoleRevokePermissionResponse,
  encodeAuthStatusResponse,
  encodeAuthUserAddResponse,
  encodeAuthUserChangePasswordResponse,
  encodeAuthUserDeleteResponse,
  encodeAuthUserGetResponse,
  encodeAuthUserGrantRoleResponse,
  encodeAuthUserListResponse,
  encodeAuthUserRevokeRoleResponse,
} from '../codec/gen/etcdserverpb.ts';
import type { AuthService } from './auth.ts';
import { type Method, unary } from './rpc.ts';

export function authMethods(auth: AuthService): readonly Method[] {
  return [...authenticationMethods(auth), ...userMethods(auth), ...roleMethods(auth)];
}

const service = 'etcdserverpb.Auth';

function authenticationMethods(auth: AuthService): readonly Method[] {
  return [
    unary(
      service,
      'AuthEnable',
      { decode: decodeAuthEnableRequest, encode: encodeAuthEnableResponse },
      auth.enable,
    ),
    unary(
      service,
      'AuthDisable',
      { decode: decodeAuthDisableRequest, encode: encodeAuthDisableResponse },
      auth.disable,
    ),
    unary(
      service,
      'AuthStatus',
      { decode: decodeAuthStatusRequest, encode: encodeAuthStatusResponse },
      auth.status,
    ),
    unary(
      service,
      'Authenticate',
      { decode: decodeAuthenticateRequest, encode: encodeAuthenticateResponse },
      auth.authenticate,
    ),
  ];
}

function userMethods(auth: AuthService): readonly Method[] {
  return [
    unary(
      service,
      'UserAdd',
      { decode: decodeAuthUserAddRequest, encode: encodeAuthUserAddResponse },
      auth.userAdd,
    ),
    unary(
      service,
      'UserGet',
      { decode: decodeAuthUserGetRequest, encode: encodeAuthUserGetResponse },
      auth.userGet,
    ),
    unary(
      service,
      'UserList',
      { decode: decodeAuthUserListRequest, encode: encodeAuthUserListResponse },
      auth.userList,
    ),
    unary(
      service,
      'UserDelete',
      { decode: decodeAuthUserDeleteRequest, encode: encodeAuthUserDeleteResponse },
      auth.userDelete,
    ),
    unary(
      service,
      'UserChangePassword',
      { decode: decodeAuthUserChangePasswordRequest, encode: encodeAuthUserChangePasswordResponse },
      auth.userChangePassword,
    ),
    unary(
      service,
      'UserGrantRole',
      { decode: decodeAuthUserGrantRoleRequest, encode: encodeAuthUserGrantRoleResponse },
      auth.userGrantRole,
    ),
    unary(
      service,
      'UserRevokeRole',
      { decode: decodeAuthUserRevokeRoleRequest, encode: encodeAuthUserRevokeRoleResponse },
      auth.userRevokeRole,
    ),
  ];
}

function roleMethods(auth: AuthService): readonly Method[] {
  return [
    unary(
      service,
      'RoleAdd',
      { decode: decodeAuthRoleAddRequest, encode: encodeAuthRoleAddResponse },
      auth.roleAdd,
    ),
    unary(
      service,
      'RoleGet',
      { decode: decodeAuthRoleGetRequest, encode: encodeAuthRoleGetResponse },
      auth.roleGet,
    ),
    unary(
      service,
      'RoleList',
      { decode: decodeAuthRoleListRequest, encode: encodeAuthRoleListResponse },
      auth.roleList,
    ),
    unary(
      service,
      'RoleDelete',
      { decode: decodeAuthRoleDeleteRequest, encode: encodeAuthRoleDeleteResponse },
      auth.roleDelete,
    ),
    unary(
      service,
      'RoleGrantPermission',
      {
        decode: decodeAuthRoleGrantPermissionRequest,
        encode: encodeAuthRoleGrantPermissionResponse,
      },
      auth.roleGrantPermission,
    ),
    unary(
      service,
      'RoleRevokePermission',
      {
        decode: decodeAuthRoleRevokePermissionRequest,
        encode: encodeAuthRoleRevokePermissionResponse,
      },
      auth.roleRevokePermission,
    ),
  ];
}
