// Three members over mutual TLS, with gRPC clients. Certificates and authorities are exchanged
// while they run, a member starts again, and no request fails for it.
import { writeFileSync } from 'node:fs';
import { Client, credentials } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { must } from '../../src/assert.ts';
import { MemoryFolder } from '../../src/server/data-folder.ts';
import { type EmbeddedMember, type OpenedEtcd, openEtcd } from '../../src/server/embed.ts';
import { Authority, type Certificate } from '../support/certificates.ts';

const NAMES = ['a', 'b', 'c'];

let running: EmbeddedMember[] = [];
let clients: Client[] = [];

afterEach(async () => {
  for (const client of clients) client.close();
  await Promise.all(running.map(({ member }) => member.close()));
  running = [];
  clients = [];
});

interface Urls {
  readonly listenClientUrls: readonly string[];
  readonly listenPeerUrls: readonly string[];
}

const ANY: Urls = {
  listenClientUrls: ['https://127.0.0.1:0'],
  listenPeerUrls: ['https://127.0.0.1:0'],
};

/** As Pigsty does it: one certificate for everything, and an authority that makes it demanded. */
function opened(name: string, folder: MemoryFolder, files: Files, urls = ANY): Promise<OpenedEtcd> {
  const { certFile, keyFile, trustedCaFile } = files;
  const peer = { peerCertFile: certFile, peerKeyFile: keyFile, peerTrustedCaFile: trustedCaFile };
  return openEtcd({ memory: true, name, ...urls, ...files, ...peer }, folder);
}

interface Files {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
}

const [PUT, KEY_VALUE] = ['/etcdserverpb.KV/Put', Buffer.from('0a016b120176', 'hex')];

/** A put through a connection of its own; rejects with what gRPC says. */
function put(url: string, authority: Authority, { cert, key }: Certificate): Promise<void> {
  const [ca, keyPem, certPem] = [authority.cert, key, cert].map((text) => Buffer.from(text));
  const secure = credentials.createSsl(ca ?? null, keyPem, certPem);
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  const client = new Client(url.replace('https://', ''), secure, options);
  clients.push(client);
  const same = (bytes: Buffer): Buffer => bytes;
  const deadline = { deadline: Date.now() + 10_000 };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(PUT, same, same, KEY_VALUE, deadline, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

it('goes on while certificates and authorities are exchanged', async () => {
  const [former, next] = [new Authority('former'), new Authority('next')];
  const { certFile, keyFile } = former.issue();
  const files = { certFile, keyFile, trustedCaFile: former.file('trusted', former.cert) };
  const folders = NAMES.map(() => new MemoryFolder());
  const seats = await Promise.all(
    NAMES.map((name, i) => opened(name, must(folders[i], 'a folder'), files)),
  );
  const cluster = seats.map(({ peerUrls }, i) => `${NAMES[i]}=${peerUrls[0]}`).join(',');
  running = await Promise.all(seats.map((seat) => seat.start(cluster)));
  const urls = running.map(({ member }) => must(member.clientUrls[0], 'a URL'));
  const user = former.issue();
  for (const url of urls) await put(url, former, user);

  // Both are trusted, then everybody has a certificate of the next, then the former goes.
  writeFileSync(files.trustedCaFile, former.cert + next.cert);
  for (const url of urls) await put(url, former, next.issue());
  const renewed = next.issue();
  writeFileSync(certFile, renewed.cert);
  writeFileSync(keyFile, renewed.key);
  for (const url of urls) await put(url, next, user);
  writeFileSync(files.trustedCaFile, next.cert);
  for (const url of urls) await put(url, next, next.issue());
  await expect(put(urls[0] ?? '', next, user)).rejects.toThrow(/UNAVAILABLE|DEADLINE_EXCEEDED/);

  // A member that comes back dials and is dialled with nothing but what is there now.
  const first = must(running[0], 'a member');
  const { clientUrls: listenClientUrls, peerUrls: listenPeerUrls } = first.member;
  await first.member.close();
  const again = await opened('a', must(folders[0], 'a folder'), files, {
    listenClientUrls,
    listenPeerUrls,
  });
  running[0] = await again.start(cluster);
  await put(urls[0] ?? '', next, next.issue());
});
