/**
 * Who may ask about leases and keep them alive. A lease belongs to nobody; what counts is the keys
 * that are attached to it. What goes through the log, grants and revokes, is checked there.
 */

import { type Identity, NOBODY } from '../auth/identity.ts';
import type { Access as KeyAccess } from '../auth/permissions.ts';
import { errors } from '../errors.ts';
import type { LeaseView } from '../lease/lessor.ts';
import type { Access } from './access.ts';
import type { Caller } from './rpc.ts';

/**
 * Rejects who may not do this with every key of these leases. Administrators may, whatever the
 * revision at which they were known.
 */
export async function checkLeases(
  access: Access,
  caller: Caller | undefined,
  how: KeyAccess,
  leases: () => Iterable<LeaseView | null>,
): Promise<void> {
  const { auth } = access;
  if (!auth.enabled) return;
  const { revision } = auth;
  const who: Identity = await access.identify(caller);
  if (who === NOBODY) throw errors.userEmpty;
  if (auth.checkAdmin(who) === null) return;
  for (const lease of leases()) {
    for (const key of lease?.keys ?? []) {
      const refused = auth.check(who, how, key);
      if (refused !== null) throw refused;
    }
  }
  if (revision !== auth.revision) throw errors.authOldRevision;
}
