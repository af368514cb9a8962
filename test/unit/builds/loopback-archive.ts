/** A small Debian archive on the loopback, with packages made for it and signed with a key made for it. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { execa } from 'execa';
import { createCleartextMessage, generateKey, readPrivateKey, sign } from 'openpgp';
import { onTestFinished } from 'vitest';

export interface ArchiveKey {
  readonly secret: string;
  /** A file with the public key. */
  readonly keyring: string;
}

export async function makeKey(folder: string, name: string): Promise<ArchiveKey> {
  const identity = { name, email: `${name}@localhost` };
  // Newer kinds of keys are too new for Debian 12.
  const made = await generateKey({ type: 'ecc', curve: 'ed25519Legacy', userIDs: [identity], format: 'armored' });
  const keyring = path.join(folder, `${name}.asc`);
  await writeFile(keyring, made.publicKey);
  return { secret: made.privateKey, keyring };
}

export interface SamplePackage {
  readonly name: string;
  readonly version: string;
  readonly kind: 'binary' | 'source';
  readonly content: string;
}

export interface SampleSuite {
  readonly name: string;
  readonly packages: readonly SamplePackage[];
  readonly key: ArchiveKey;
  /** Its lists were valid until yesterday. */
  readonly expired?: boolean;
}

/** Serves the suites until the test has ended; returns the URL. */
export async function serveArchive(folder: string, suites: readonly SampleSuite[]): Promise<string> {
  await mkdir(path.join(folder, 'pool'), { recursive: true });
  for (const suite of suites) await writeSuite(folder, suite);
  const server = createServer((request, response) => {
    readFile(path.join(folder, decodeURIComponent(request.url ?? ''))).then(
      (content) => response.end(content),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

async function writeSuite(folder: string, { name, packages, key, expired = false }: SampleSuite): Promise<void> {
  const stanzas = { binary: [] as string[], source: [] as string[] };
  for (const sample of packages) {
    stanzas[sample.kind].push(await { binary: writeDeb, source: writeDsc }[sample.kind](folder, name, sample));
  }
  const lists = {
    'main/binary-amd64/Packages': stanzas.binary.join('\n'),
    'main/source/Sources': stanzas.source.join('\n'),
  };
  for (const [file, text] of Object.entries(lists)) await write(path.join(folder, 'dists', name, file), text);
  const hashes = Object.entries(lists).map(([file, text]) => ` ${sha256(text)} ${String(text.length)} ${file}`);
  const day = 24 * 3600 * 1000;
  const date = (days: number): string => new Date(Date.now() + days * day).toUTCString();
  const release = [
    ...[`Codename: ${name}`, `Suite: ${name}`, 'Architectures: amd64', 'Components: main'],
    ...[`Date: ${date(-2)}`, `Valid-Until: ${date(expired ? -1 : 1)}`, 'SHA256:'],
    ...hashes,
  ];
  const message = await createCleartextMessage({ text: `${release.join('\n')}\n` });
  const signingKeys = await readPrivateKey({ armoredKey: key.secret });
  await write(path.join(folder, 'dists', name, 'InRelease'), await sign({ message, signingKeys }));
}

/** Returns its stanza of the list of binary packages. */
async function writeDeb(folder: string, suite: string, { name, version, content }: SamplePackage): Promise<string> {
  const tree = path.join(folder, 'trees', suite, name, version);
  const control = [
    ...[`Package: ${name}`, `Version: ${version}`, 'Architecture: all', 'Maintainer: rig <rig@localhost>'],
    'Description: sample',
  ];
  await write(path.join(tree, 'DEBIAN/control'), `${control.join('\n')}\n`);
  await write(path.join(tree, 'usr/share/sample'), content);
  const file = `pool/${suite}/${name}_${version.replace(/^\d+:/, '')}_all.deb`;
  await mkdir(path.join(folder, path.dirname(file)), { recursive: true });
  await execa('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, path.join(folder, file)]);
  const deb = await readFile(path.join(folder, file));
  return [...control, `Filename: ${file}`, `Size: ${String(deb.length)}`, `SHA256: ${sha256(deb)}`, ''].join('\n');
}

/** Returns its stanza of the list of sources. */
async function writeDsc(folder: string, suite: string, { name, version, content }: SamplePackage): Promise<string> {
  const file = `${name}_${version.replace(/^\d+:/, '')}.dsc`;
  const common = ['Format: 3.0 (native)', `Version: ${version}`, 'Maintainer: rig <rig@localhost>'];
  const text = [`Source: ${name}`, ...common, `Comments: ${content}`, ''].join('\n');
  await write(path.join(folder, 'pool', suite, file), text);
  return [
    ...[`Package: ${name}`, ...common, `Directory: pool/${suite}`, 'Checksums-Sha256:'],
    ...[` ${sha256(text)} ${String(text.length)} ${file}`, ''],
  ].join('\n');
}

async function write(file: string, content: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
