import { defineConfig } from 'vitest/config';

// The packages of the operating system, as root on Debian; see .ci/run. Files run one at a time,
// since most of them use etcd's own ports and users.
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
