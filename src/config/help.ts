/** The texts of --help and --version. */

import { GIT_SHA, goArch, PACKAGE_NAME, PACKAGE_VERSION, SERVER_VERSION } from '../version.ts';
import { featureGateNames, featureGateSpecs } from './feature-gates.ts';
import { flagGroups, specOf } from './flags.ts';

/** Printed after every error in the flags. */
export const usageText = `Usage:

  etcd [flags]
    Start an etcd server.

  etcd --version
    Print the version.

  etcd -h | --help
    Print all flags.

  etcd --config-file FILE
    Read the settings from a YAML or JSON file. Flags and environment variables are then ignored.
`;

export function flagsText(): string {
  const parts = [''];
  for (const { title, names } of flagGroups) {
    parts.push(`${title}:`);
    for (const name of names) {
      const spec = specOf(name);
      parts.push(`  --${name} '${spec.kind.show(spec.default)}'`, `    ${spec.help}`);
      if (name === 'feature-gates') parts.push(...gateLines());
    }
    parts.push('');
  }
  parts.push('Unsafe features can break what the consensus protocol guarantees.', '');
  return parts.join('\n');
}

function gateLines(): string[] {
  return featureGateNames.map((name) => {
    const spec = featureGateSpecs[name];
    return `    ${name}=true|false (${spec.stage} - default=${spec.default})`;
  });
}

/** etcd's lines first, because scripts read them by position; then our own. */
export function versionText(runtime: {
  readonly version: string;
  readonly platform: string;
  readonly arch: string;
}): string {
  return [
    `etcd Version: ${SERVER_VERSION}`,
    `Git SHA: ${GIT_SHA}`,
    `Go Version: none (Node.js ${runtime.version})`,
    `Go OS/Arch: ${runtime.platform}/${goArch(runtime.arch)}`,
    `${PACKAGE_NAME} Version: ${PACKAGE_VERSION}`,
    '',
  ].join('\n');
}
