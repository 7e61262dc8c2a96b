/** What another member's answer to a posted message or snapshot means. */

import { hexId, type MemberId } from '../types.ts';
import type { PeerContext } from './context.ts';
import type { Answer } from './exchange.ts';
import { CLUSTER_ID_MISMATCH, headerOf, INCOMPATIBLE_VERSION, MEMBER_REMOVED } from './headers.ts';

/** Why it was not taken; `null`: it was. Reports that this member was removed. */
export function postProblem(
  context: Pick<PeerContext, 'log' | 'clusterId' | 'removed'>,
  { to, url, answer }: { readonly to: MemberId; readonly url: string; readonly answer: Answer },
): string | null {
  const { log, clusterId, removed } = context;
  const body = answer.body.toString();
  const remote = hexId(to);
  switch (answer.status) {
    case 204:
      return null;
    case 403:
      removed();
      return MEMBER_REMOVED;
    case 412:
      switch (body.replace(/\n$/, '')) {
        case INCOMPATIBLE_VERSION:
          log.error('request sent was ignored by peer', { 'remote-peer-id': remote });
          return INCOMPATIBLE_VERSION;
        case CLUSTER_ID_MISMATCH:
          log.error('request sent was ignored due to cluster ID mismatch', {
            'remote-peer-id': remote,
            'remote-peer-cluster-id': headerOf(answer.headers, 'x-etcd-cluster-id'),
            'local-member-cluster-id': hexId(clusterId),
          });
          return CLUSTER_ID_MISMATCH;
        default:
          return `unhandled error ${JSON.stringify(body)} when precondition failed`;
      }
    default:
      return `unexpected http status ${answer.status} while posting to "${url}"`;
  }
}
