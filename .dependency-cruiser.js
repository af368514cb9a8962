// The import order of the orchestrator: a layer may import itself and the layers before it, types included.
const LAYERS = [
  ['util'],
  ['config'],
  ['cache'],
  ['builds'],
  ['vm'],
  ['device', 'series'],
  ['plan'],
  ['report', 'testbed'],
  ['cli'],
];

const FOLDERS = LAYERS.flat();
/** What a folder may not import: the layers after its own, and its neighbours in its own. */
const above = (folder) => {
  const own = LAYERS.findIndex((layer) => layer.includes(folder));
  return LAYERS.slice(own)
    .flat()
    .filter((other) => other !== folder);
};

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...FOLDERS.map((folder) => ({
      name: `${folder}-imports-upward`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${[...above(folder), 'suites', 'benches'].join('|')})/` },
    })),
    {
      name: 'suites-see-only-fixtures',
      comment: 'A suite is written against the fixtures, as a user would write it.',
      severity: 'error',
      from: { path: '^src/suites/' },
      to: { path: '^src/', pathNot: '^src/(suites|testbed|plan|config|util)/' },
    },
    {
      name: 'benches-see-fixtures-and-machines',
      comment: 'As a suite; one without a guest drives QEMU as the tests of the device do.',
      severity: 'error',
      from: { path: '^src/benches/' },
      to: { path: '^src/', pathNot: '^src/(benches|testbed|plan|device|vm|config|util)/' },
    },
    {
      name: 'product-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^test/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-folder-cycles', scope: 'folder', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      // What no module imports, the launcher does.
      from: { orphan: true, path: '^src/', pathNot: '^src/((suites|benches)/|cli/crash-guard)' },
      to: {},
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependency-in-product',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] },
  },
};
