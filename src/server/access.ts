/**
 * Who a caller is, and what services ask before they answer. It looks at metadata and certificates;
 * users and permissions are the store's, and what goes through the log is checked when it is
 * applied.
 *
 * Nothing costs anything while authentication is off: then tokens are not looked at either.
 */

import type { AuthStore } from '../auth/auth-store.ts';
import { type Identity, NOBODY } from '../auth/identity.ts';
import type { TokenProvider } from '../auth/token-provider.ts';
import { type EtcdError, errors } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';
import type { Index } from '../types.ts';
import { type Caller, endWith, type Method } from './rpc.ts';

export interface AccessDeps {
  readonly replica: Pick<Replica, 'applied' | 'whenApplied'> & {
    readonly stateMachine: { readonly auth: AuthStore };
  };
  readonly tokens: Pick<TokenProvider, 'info' | 'waitsFor'>;
  /** Hears of tokens that are not taken. */
  readonly refused?: (token: string) => void;
}

type Check = (who: Identity) => EtcdError | null;

const BEARER = 'Bearer ';

export class Access {
  readonly auth: AuthStore;
  readonly #replica: AccessDeps['replica'];
  readonly #tokens: AccessDeps['tokens'];
  readonly #refused: AccessDeps['refused'];

  constructor({ replica, tokens, refused }: AccessDeps) {
    this.auth = replica.stateMachine.auth;
    this.#replica = replica;
    this.#tokens = tokens;
    this.#refused = refused;
  }

  get enabled(): boolean {
    return this.auth.enabled;
  }

  /**
   * `NOBODY` who says nothing about himself. Throws or rejects with `invalidAuthToken`. A promise
   * only where this member has not applied yet what made the token.
   */
  identify(caller: Caller | undefined): Identity | Promise<Identity> {
    if (!this.enabled || caller === undefined) return NOBODY;
    const given = tokenOf(caller);
    if (given === null) {
      const { commonName: user } = caller;
      return user === '' ? NOBODY : { user, revision: this.auth.revision };
    }
    const token = withoutBearer(given);
    const found = this.#info(token);
    if (found !== null) return found;
    const index = this.#tokens.waitsFor(token);
    if (index < this.#replica.applied) throw this.#invalid(token);
    return this.#identifyLater(token, index);
  }

  /** The name that a caller goes by, '' for none: only looked up, not waited for or judged. */
  nameOf(caller: Caller): string {
    if (!this.enabled) return '';
    const given = tokenOf(caller);
    return given === null ? caller.commonName : (this.#info(withoutBearer(given))?.user ?? '');
  }

  /** For what anybody may do who is somebody. */
  async known(caller: Caller | undefined): Promise<Identity> {
    if (!this.enabled) return NOBODY;
    const who = await this.identify(caller);
    if (who === NOBODY) throw errors.userEmpty;
    return who;
  }

  async admin(caller: Caller | undefined): Promise<Identity> {
    const who = await this.identify(caller);
    const refused = this.auth.checkAdmin(who);
    if (refused !== null) throw refused;
    return who;
  }

  /**
   * An answer that does not go through the log: checked before, and given up when users or
   * permissions have changed meanwhile.
   */
  guard<T>(caller: Caller | undefined, check: Check, get: () => T | Promise<T>): T | Promise<T> {
    return this.enabled ? this.#guard(caller, check, get) : get();
  }

  async #guard<T>(caller: Caller | undefined, check: Check, get: () => T | Promise<T>): Promise<T> {
    const who = await this.identify(caller);
    const refused = check(who);
    if (refused !== null) throw refused;
    const answer = await get();
    if (who.revision !== 0 && who.revision !== this.auth.revision) throw errors.authOldRevision;
    return answer;
  }

  #invalid(token: string): EtcdError {
    this.#refused?.(token);
    return errors.invalidAuthToken;
  }

  #info(token: string): Identity | null {
    return this.#tokens.info(token, this.auth.revision);
  }

  /**
   * etcd: a token carries the index that was applied before the entry that made it. Whoever made it
   * up can name any; etcd waits as long as the caller does.
   */
  async #identifyLater(token: string, index: Index): Promise<Identity> {
    try {
      await this.#replica.whenApplied(index + 1);
    } catch (error) {
      if (error === errors.timeoutWaitAppliedIndex) throw this.#invalid(token);
      throw error;
    }
    const found = this.#info(token);
    if (found === null) throw this.#invalid(token);
    return found;
  }
}

function withoutBearer(given: string): string {
  return given.startsWith(BEARER) ? given.slice(BEARER.length) : given;
}

/** As given, in either header. */
export function tokenOf(caller: Caller): string | null {
  return caller.metadata('token') ?? caller.metadata('authorization');
}

/** The same method for administrators only. */
export function forAdmins(
  access: Access,
  method: Method,
  onFatal: (error: unknown) => void,
): Method {
  if (method.kind === 'unary') {
    return {
      ...method,
      call(request, caller) {
        if (!access.enabled) return method.call(request, caller);
        return access.admin(caller).then(() => method.call(request, caller));
      },
    };
  }
  return {
    ...method,
    open(caller, output) {
      const input = method.open(caller, output);
      return {
        message: (request) => input.message(request),
        close: () => input.close(),
        halfClose() {
          if (!access.enabled) return input.halfClose();
          access
            .admin(caller)
            .then(() => {
              if (!caller.cancelled) input.halfClose();
            })
            .catch(endWith(output, onFatal));
        },
      };
    },
  };
}
