/** The Auth service: its methods exist, and answer that they come later. */

import { methodSchemas } from '../codec/gen/schema.ts';
import { type Method, unimplemented } from './rpc.ts';

export function authMethods(): readonly Method[] {
  return methodSchemas
    .filter(({ service }) => service === 'etcdserverpb.Auth')
    .map(({ service, name }) => unimplemented(service, name));
}
