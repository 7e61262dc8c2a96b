/**
 * Whether the cluster is on its way to an older version, as every member stores it: etcd's JSON in
 * a row of bucket `cluster`. It knows nothing of who decides about that, or what follows from it.
 */

import { assert } from '../assert.ts';
import { buckets, rowKey } from '../buckets.ts';
import { goJson } from './members.ts';
import { type GetRow, storedText } from './position.ts';

export interface DowngradeInfo {
  readonly enabled: boolean;
  /** `3.6.0`; empty when there is no downgrade. */
  readonly targetVersion: string;
}

export const NO_DOWNGRADE: DowngradeInfo = { enabled: false, targetVersion: '' };

export const downgradeRow = rowKey(buckets.cluster, 'downgrade');

export function downgradeJson({ enabled, targetVersion }: DowngradeInfo): string {
  return `{"target-version":${goJson(targetVersion)},"enabled":${enabled}}`;
}

/** Throws when the row is not what etcd writes. */
export function storedDowngrade(get: GetRow): DowngradeInfo {
  const text = storedText(get, downgradeRow);
  if (text === '') return NO_DOWNGRADE;
  const { enabled, 'target-version': targetVersion = '' } = JSON.parse(text) as {
    readonly enabled?: unknown;
    readonly 'target-version'?: unknown;
  };
  assert(typeof targetVersion === 'string', 'a downgrade has a target');
  return { enabled: enabled === true, targetVersion };
}
