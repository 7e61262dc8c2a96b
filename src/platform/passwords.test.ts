import { describe, expect, it } from 'vitest';
import { errors } from '../errors.ts';
import { type LogFields, silentLog } from '../log.ts';
import { BcryptPasswords } from './passwords.ts';

const quick = (options: object = {}): BcryptPasswords =>
  new BcryptPasswords({ cost: 4, log: silentLog(), ...options });

// Made by Go's golang.org/x/crypto/bcrypt.
const FROM_GO = [
  ['', '$2a$04$/S2PS5zRc7QjmtJj1JcQt.IsRkS0mN13PFvJqHbyX69nPrSsW.QuG'],
  ['secret', '$2a$05$sA1LaYHfHEU3iJZLQANmUetQ.78LnxDEN.s8xU9b2WZxhichM4Y0K'],
  ['päss wörd ✓', '$2a$04$/AF7Ct757tjzdv8yzw5TYOR4q2vXj8czOmRf4C5aSIQfTSWZb9YY.'],
  [`${'0123456789'.repeat(7)}ab`, '$2a$04$p6nsIwA2cITbwpb7RXq6L.PsjjIyjeBSGGJ9u8rmvGVamIY6q5Y4a'],
  ['nul\0byte', '$2a$04$Z4x9F/hgvfrx3HYGIcjTyelrBhOrXEcNPtiMJIYYDvIGB3c.lRkKW'],
] as const;

describe('bcrypt', () => {
  it('knows the passwords that Go has hashed', async () => {
    for (const [password, hash] of FROM_GO) {
      expect(await quick().matches(password, hash)).toBe(true);
      expect(await quick().matches(`x${password}`, hash)).toBe(false);
    }
  });

  it('looks at 72 bytes and takes no more', async () => {
    const longest = 'é'.repeat(36);
    const hash = await quick().hash(longest);
    expect(hash).toMatch(/^\$2a\$04\$[./A-Za-z0-9]{53}$/);
    expect(await quick().matches(longest, hash)).toBe(true);
    expect(await quick().matches(`${longest}${'x'.repeat(300)}`, hash)).toBe(true);
    expect(await quick().matches(longest.slice(1), hash)).toBe(false);
    await expect(quick().hash(`${longest}x`)).rejects.toBe(errors.passwordTooLong);
    expect(quick().hashNow(`${longest}x`)).toBeNull();
  });

  it('salts each hash', async () => {
    const [one, other] = [await quick().hash('p'), quick().hashNow('p')];
    expect(one).not.toBe(other);
    expect(await quick().matches('p', other)).toBe(true);
  });

  it('reads what other programs write, as Go does', async () => {
    const hash = await quick().hash('p');
    const others = ['$2b$', '$2y$', '$2x$', '$2$'].map((begin) => begin + hash.slice(4));
    for (const other of [...others, `${hash}junk`]) {
      expect(await quick().matches('p', other)).toBe(true);
    }
  });

  it('refuses what is no hash', async () => {
    const none = ['', 'p', '$2a$04$short', `$2a$03$${'.'.repeat(53)}`, `$2a$32$${'.'.repeat(53)}`];
    for (const hash of none) expect(await quick().matches('p', hash)).toBe(false);
    expect(await quick().matches('p', null)).toBe(false);
  });

  it('falls back to cost 10, and says so', async () => {
    const lines: [string, LogFields | undefined][] = [];
    const log = {
      ...silentLog(),
      warn: (msg: string, fields?: LogFields) => lines.push([msg, fields]),
    };
    for (const cost of [3, 32]) {
      expect(await new BcryptPasswords({ cost, log }).hash('p')).toMatch(/^\$2a\$10\$/);
    }
    const fields = { 'min-cost': 4, 'max-cost': 31, 'default-cost': 10 };
    expect(lines).toEqual(
      [3, 32].map((cost) => [
        'use default bcrypt cost instead of the invalid given cost',
        { ...fields, 'given-cost': cost },
      ]),
    );
  });
});

describe('the queue', () => {
  it('refuses what it has no room for, and works off the rest in order', async () => {
    const passwords = quick({ atOnce: 1, queuedMax: 2 });
    const done: string[] = [];
    const work = (name: string): Promise<unknown> =>
      passwords.hash(name).then(
        () => done.push(name),
        (error: unknown) => done.push(`${name} refused`, String(error === errors.tooManyRequests)),
      );
    await Promise.all(['a', 'b', 'c', 'd'].map(work));
    expect(done).toEqual(['d refused', 'true', 'a', 'b', 'c']);
    expect(await passwords.matches('p', await passwords.hash('p'))).toBe(true);
  });

  it('ends with what waits when it is closed', async () => {
    const passwords = quick({ atOnce: 1 });
    const [running, waiting] = [passwords.hash('a'), passwords.hash('b')];
    const refused = expect(waiting).rejects.toBe(errors.stopped);
    await passwords.close();
    await refused;
    expect(await running).toMatch(/^\$2a\$04\$/);
    await expect(passwords.hash('c')).rejects.toBe(errors.stopped);
  });
});
