import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
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
