// The import order of the orchestrator: a layer may import itself and the layers before it, types included.
const LAYERS = ['util', 'config', 'build', 'vm', 'suite', 'report', 'cli'];

const above = (layer) => LAYERS.slice(LAYERS.indexOf(layer) + 1);

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...LAYERS.filter((layer) => above(layer).length > 0).map((layer) => ({
      name: `${layer}-imports-upward`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: `^src/(${[...above(layer), 'suites', 'benches'].join('|')})/` },
    })),
    {
      name: 'suites-see-only-fixtures',
      comment: 'A suite is written against the fixtures, as a user would write it.',
      severity: 'error',
      from: { path: '^src/suites/' },
      to: { path: '^src/', pathNot: '^src/(suites|suite|util)/' },
    },
    {
      name: 'benches-see-fixtures-and-machines',
      comment: 'As a suite; one without a guest drives QEMU by what the device tests drive it by.',
      severity: 'error',
      from: { path: '^src/benches/' },
      to: { path: '^(src|test)/', pathNot: '^(src/(benches|suite|vm|util)|test/device)/' },
    },
    {
      name: 'product-imports-tests',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/benches/' },
      to: { path: '^test/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '^src/(suites|benches)/' },
      to: {},
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependency-in-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(suites|benches|suite|report|cli)/' },
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
