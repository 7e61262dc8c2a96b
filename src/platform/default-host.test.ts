import { describe, expect, it } from 'vitest';
import { defaultHost, type Routes } from './default-host.ts';

const HEAD =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
const LOCAL_NET = 'eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n';
const DEFAULT_V4 = 'eth1\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n';
const ZEROS = '0'.repeat(32);
const REJECT_V6 = `${ZEROS} 00 ${ZEROS} 00 ${ZEROS} ffffffff 00000001 00000000 00200200       lo\n`;
const ROUTER = `fe80${'0'.repeat(28)}`;
const USED_V6 = '00000400 00000001 00000000 00000003     eth1';
const DEFAULT_V6 = `${ZEROS} 00 ${ZEROS} 00 ${ROUTER} ${USED_V6}\n`;

function machine(v4: string, v6: string, platform = 'linux'): Routes {
  const address = (family: 'IPv4' | 'IPv6', text: string) => ({
    family,
    address: text,
    netmask: '',
    mac: '',
    internal: false,
    cidr: null,
    scopeid: 0,
  });
  return {
    platform,
    arch: 'arm64',
    readFile(path) {
      if (path === '/proc/net/route') return v4;
      if (path === '/proc/net/ipv6_route' && v6 !== '') return v6;
      throw Object.assign(new Error('missing'), { code: 'ENOENT' });
    },
    interfaces: () => ({
      lo: [address('IPv4', '127.0.0.1'), address('IPv6', '::1')],
      eth0: [address('IPv4', '192.0.2.9')],
      eth1: [address('IPv4', '192.0.2.2'), address('IPv6', '2001:db8::2')],
    }),
  };
}

describe('default host', () => {
  it('is the address of the interface of the default route', () => {
    const found = defaultHost(machine(HEAD + LOCAL_NET + DEFAULT_V4, DEFAULT_V6));
    expect(found).toEqual({ host: '192.0.2.2', problem: null });
  });

  it('is of IPv6 where IPv4 has no default route', () => {
    const found = defaultHost(machine(HEAD + LOCAL_NET, REJECT_V6 + DEFAULT_V6));
    expect(found).toEqual({ host: '2001:db8::2', problem: null });
  });

  it('says why there is none', () => {
    const problem = (routes: Routes) => defaultHost(routes).problem;
    expect(problem(machine(HEAD + LOCAL_NET, REJECT_V6))).toBe('could not find default route');
    const away = DEFAULT_V4.replace('eth1', 'tun0');
    expect(problem(machine(HEAD + away, ''))).toBe('could not find default host');
    const elsewhere = 'default host not supported on darwin_arm64';
    expect(problem(machine('', '', 'darwin'))).toBe(elsewhere);
  });
});
