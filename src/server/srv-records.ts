/**
 * The members of a first cluster, from DNS: the SRV records of a domain, of which the one that
 * leads to this member's own address is its own. etcd's names of services, lines and errors.
 *
 * It refuses to know how names are resolved.
 */

import type { Settings } from '../config/flags.ts';
import { joinHostPort, splitUrl } from '../config/url.ts';
import type { Log } from '../log.ts';
import { BootstrapError } from '../replica/founding.ts';

export interface SrvRecord {
  /** With the dot at its end. */
  readonly name: string;
  readonly port: number;
  readonly priority: number;
}

export interface SrvResolver {
  /** Of `_service._tcp.domain`; rejects with Go's text. */
  srv(service: string, domain: string): Promise<readonly SrvRecord[]>;
  /** The first address of a host; rejects with Go's text. */
  host(name: string): Promise<string>;
}

/** What --initial-cluster would be. Rejects with `BootstrapError`. */
export async function clusterFromSrv(
  config: Settings,
  resolver: SrvResolver,
  log: Log,
): Promise<string> {
  const suffix = config.discoverySrvName === '' ? '' : `-${config.discoverySrvName}`;
  const say = (name: string, scheme: string, { entries, error }: Found): void =>
    log.info(`get cluster for ${name} SRV`, {
      'service-scheme': scheme,
      'service-name': `${name}${suffix}`,
      'server-name': config.name,
      'discovery-srv': config.discoverySrv,
      'advertise-peer-urls': config.initialAdvertisePeerUrls,
      'found-cluster': entries,
      ...(error === null ? {} : { error }),
    });
  const secure = await entriesOf(`etcd-server-ssl${suffix}`, 'https', config, resolver);
  say('etcd-server-ssl', 'https', secure);
  const plain = await entriesOf(`etcd-server${suffix}`, 'http', config, resolver);
  const entries = [...secure.entries, ...plain.entries];
  // etcd: this line has what both have found.
  say('etcd-server', 'http', { entries, error: plain.error });
  const problems = [secure.error, plain.error].filter((error) => error !== null);
  if (problems.length > 0) {
    log.warn('failed to resolve during SRV discovery', { error: problems.join('\n') });
  }
  if (entries.length === 0) throw failure(problems.join('\n'));
  for (const node of entries) log.info('got bootstrap from DNS for etcd-server', { node });
  if (!entries.some((entry) => entry.startsWith(`${config.name}=`))) {
    throw failure(`cannot find local etcd member "${config.name}" in SRV records`);
  }
  return entries.join(',');
}

interface Found {
  readonly entries: readonly string[];
  readonly error: string | null;
}

function failure(reason: string): BootstrapError {
  return new BootstrapError(`error setting up initial cluster: ${reason}`);
}

async function entriesOf(
  service: string,
  scheme: 'https' | 'http',
  config: Settings,
  resolver: SrvResolver,
): Promise<Found> {
  const own = new Map<string, string>();
  try {
    for (const url of config.initialAdvertisePeerUrls) {
      const { host, port } = splitUrl(url);
      own.set(joinHostPort(await resolver.host(host), port), url);
    }
  } catch (error) {
    return { entries: [], error: textOf(error) };
  }
  const asked = `error querying DNS SRV records for _${service}`;
  try {
    const records = await resolver.srv(service, config.discoverySrv);
    const { entries, problem } = await namedEntries(records, {
      service,
      scheme,
      own,
      config,
      resolver,
    });
    const error = entries.length > 0 || problem === null ? null : `${asked} ${problem}`;
    return { entries, error };
  } catch (error) {
    return { entries: [], error: `${asked} ${textOf(error)}` };
  }
}

interface Naming {
  readonly service: string;
  readonly scheme: string;
  /** Of this member: its URLs by resolved address. */
  readonly own: ReadonlyMap<string, string>;
  readonly config: Settings;
  readonly resolver: SrvResolver;
}

/** etcd: this member's records carry its name, and the others are numbered. */
async function namedEntries(
  records: readonly SrvRecord[],
  { service, scheme, own, config, resolver }: Naming,
): Promise<{ readonly entries: readonly string[]; readonly problem: string | null }> {
  const entries: string[] = [];
  let [problem, others]: [string | null, number] = [null, 0];
  for (const { name: target, port } of [...records].sort((a, b) => a.priority - b.priority)) {
    let address: string;
    try {
      address = await resolver.host(target);
    } catch (error) {
      problem = textOf(error);
      continue;
    }
    const ownUrl = own.get(joinHostPort(address, port));
    const name = ownUrl === undefined ? String(others++) : config.name;
    const url = `${scheme}://${joinHostPort(target.replace(/\.$/, ''), port)}`;
    if (ownUrl === undefined || splitUrl(ownUrl).scheme === scheme) {
      entries.push(`${name}=${url}`);
      continue;
    }
    const what = `bootstrap at ${url} from DNS for ${service}`;
    problem = `${what} has scheme mismatch with expected peer ${ownUrl}`;
  }
  return { entries, problem };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
