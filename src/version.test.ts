import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as version from './version.ts';

it('names the package as package.json does', () => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  expect(JSON.parse(text)).toMatchObject({
    name: version.PACKAGE_NAME,
    version: version.PACKAGE_VERSION,
  });
});

it('claims versions of digits and dots', () => {
  for (const claimed of [
    version.SERVER_VERSION,
    version.CLUSTER_VERSION,
    version.STORAGE_VERSION,
  ]) {
    expect(claimed).toMatch(/^\d+\.\d+\.\d+$/);
  }
});

describe('versions', () => {
  it('are read strictly, whatever follows the numbers', () => {
    expect(version.parseVersion('3.4.23')).toEqual({ major: 3, minor: 4, patch: 23 });
    expect(version.parseVersion('v3.8.0-alpha.0+x')).toEqual({ major: 3, minor: 8, patch: 0 });
    for (const text of ['', 'not_decided', '3.4', '3.4.x', '3.4.0.1', ' 3.4.0']) {
      expect(version.parseVersion(text)).toBeNull();
    }
  });

  it('above the own release line are none to take part in', () => {
    expect(version.clusterVersionProblem('3.7.0')).toBeNull();
    expect(version.clusterVersionProblem('3.4.0')).toBeNull();
    expect(version.clusterVersionProblem('')).toBeNull();
    const refused = 'invalid downgrade; server version is lower than determined cluster version';
    expect(version.clusterVersionProblem('3.8.0')).toBe(refused);
    expect(version.clusterVersionProblem('4.0.0')).toBe(refused);
  });
});
