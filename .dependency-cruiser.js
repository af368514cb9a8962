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
      to: { path: `^src/(${[...above(layer), 'suites'].join('|')})/` },
    })),
    {
      name: 'suites-see-only-fixtures',
      comment: 'A suite is written against the fixtures, as a user would write it.',
      severity: 'error',
      from: { path: '^src/suites/' },
      to: { path: '^src/', pathNot: '^src/(suites|suite|util)/' },
    },
    {
      name: 'product-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^test/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src/', pathNot: '^src/suites/' }, to: {} },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependency-in-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(suites|suite|report|cli)/' },
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
