/**
 * The driver's files have an order, which edgpu_drv.h names: none uses what a later one has. Statics carry the driver's
 * prefix, and only edgpu_compat.h asks which kernel it is built for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';

import { repositoryPath } from '../../../src/config/paths.ts';

const FOLDER = repositoryPath('guest-kernel/edgpu');
/** What all may use: the device itself, the kernel's differences, the interface for user space. */
const FOR_ALL = new Set(['edgpu_drv.h', 'edgpu_compat.h', 'edgpu_drm.h']);

type Sources = ReadonlyMap<string, string>;

const driver: Sources = new Map(
  readdirSync(FOLDER)
    .filter((file) => /\.[ch]$/.test(file))
    .map((file) => [file, readFileSync(path.join(FOLDER, file), 'utf8')]),
);

function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"/g, ' ');
}

/** A line of the table in edgpu_drv.h is "label:", tabs, and names. */
function orderOf(sources: Sources): string[] {
  const lines = (sources.get('edgpu_drv.h') ?? '').matchAll(/^ \*\t[a-z, ]+:\t+([a-z_, ]+)$/gm);
  return [...lines].flatMap(([, names = '']) => names.split(', '));
}

/** Functions with a body and data with a value, not static but in headers, at the beginning of a line. */
function definitionsOf(code: string, header: boolean): string[] {
  const modifier = header ? 'static inline ' : '(?!static|extern|typedef|return|else)';
  const name = new RegExp(`^${modifier}\\w[\\w\\s*]*?\\b(\\w+)(?:\\([^;{}]*\\)\\s*\\{|(?:\\[[^\\]]*\\])* = )`, 'gm');
  return [...code.matchAll(name)].flatMap(([, found = '']) => found);
}

function upwardUses(sources: Sources): string[] {
  const order = orderOf(sources);
  const placeOf = (file: string): number => order.indexOf(file.replace(/^edgpu_|\.[ch]$/g, ''));
  const ordered = [...sources.keys()].filter((file) => !FOR_ALL.has(file));
  const unplaced = ordered.filter((file) => placeOf(file) < 0).map((file) => `${file} has no place in the order`);
  const code = new Map(ordered.map((file) => [file, codeOf(sources.get(file) ?? '')]));
  const homes = new Map(
    ordered.flatMap((file) => definitionsOf(code.get(file) ?? '', file.endsWith('.h')).map((name) => [name, file])),
  );
  const uses = ordered.flatMap((file) =>
    [...new Set(code.get(file)?.match(/\b[a-z]\w*/g))].flatMap((name) => {
      const home = homes.get(name);
      // A header declares what its own file defines, and only its own.
      return home !== undefined && placeOf(home) > placeOf(file) ? [`${file} uses ${name} of ${home}`] : [];
    }),
  );
  return [...unplaced, ...uses];
}

function strangeStatics(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) =>
    [...codeOf(text).matchAll(/^static (?!inline|_?assert)[^;{(=[]*?(\w+)\s*(?=[[(=;])/gm)].flatMap(([, name = '']) =>
      /^edgpu_|^(\w+_)?to_edgpu(_|$)/.test(name) ? [] : [`${file}: ${name}`],
    ),
  );
}

/** Conditions on anything but the configuration, a guard against a second inclusion, and C++. */
function kernelChecks(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => file !== 'edgpu_compat.h')
    .flatMap(([file, text]) =>
      (text.match(/^#\s*(if|elif).*/gm) ?? [])
        .filter((line) => !/CONFIG_\w+$|^#ifndef _EDGPU_\w+_H_$|__cplusplus/.test(line))
        .map((line) => `${file}: ${line}`),
    );
}

function edited(file: string, edit: (text: string) => string): Sources {
  return new Map([...driver, [file, edit(driver.get(file) ?? '')]]);
}

test('no file of the driver uses what a later one has', () => {
  expect(definitionsOf(codeOf(driver.get('edgpu_bo.c') ?? ''), false)).toContain('edgpu_bo_make_visible');
  expect(upwardUses(driver)).toEqual([]);
});

test('the order names every file once, and no other', () => {
  const files = [...driver.keys()].filter((file) => file.endsWith('.c')).map((file) => file.slice(6, -2));
  expect(orderOf(driver).toSorted()).toEqual(files.toSorted());
});

test('statics carry the prefix of the driver', () => {
  expect(strangeStatics(driver)).toEqual([]);
});

test('only edgpu_compat.h asks which kernel it is built for', () => {
  expect(kernelChecks(driver)).toEqual([]);
});

test('what is against the order is named', () => {
  const calls = edited('edgpu_ring.c', (text) => `${text}\nvoid edgpu_x(void)\n{\n\tedgpu_engines_stop(NULL);\n}\n`);
  expect(upwardUses(calls)).toEqual(['edgpu_ring.c uses edgpu_engines_stop of edgpu_engine.c']);
  const reads = edited('edgpu_engine.c', (text) => `${text}\nvoid *edgpu_x = &edgpu_pm_ops;\n`);
  expect(upwardUses(reads)).toEqual(['edgpu_engine.c uses edgpu_pm_ops of edgpu_pm.c']);
  const inlined = edited('edgpu_vram.c', (text) => `${text}\nvoid edgpu_x(void)\n{\n\tto_edgpu_bo(NULL);\n}\n`);
  expect(upwardUses(inlined)).toEqual(['edgpu_vram.c uses to_edgpu_bo of edgpu_bo.h']);
  expect(upwardUses(new Map([...driver, ['edgpu_new.c', '']]))).toEqual(['edgpu_new.c has no place in the order']);
});

test('a static without the prefix and a question about the kernel are named', () => {
  const names = edited(
    'edgpu_ring.c',
    (text) => `${text}\nstatic struct page *\nfill(int x)\n{\n}\nstatic int n[2] = {};\n`,
  );
  expect(strangeStatics(names)).toEqual(['edgpu_ring.c: fill', 'edgpu_ring.c: n']);
  const asks = edited('edgpu_ring.c', (text) => `${text}\n#ifdef TTM_ALLOCATION_SHMEM\n#endif\n`);
  expect(kernelChecks(asks)).toEqual(['edgpu_ring.c: #ifdef TTM_ALLOCATION_SHMEM']);
});
