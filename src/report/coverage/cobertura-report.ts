/** Cobertura's XML (coverage-04.dtd), as GitLab and Jenkins show it beside a merge request; a folder is a package. */
import path from 'node:path';
import { escape } from '../formats/xml.ts';
import { total, type CoverageReport, type CoveredFile, type CoveredLine, type Share } from './coverage-report.ts';

export function coberturaReport({ files, kernel }: CoverageReport): string {
  const folders = [...new Set(files.map(({ file }) => path.posix.dirname(file)))];
  const all = total(files);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">',
    `<coverage ${rates(all)} lines-covered="${String(all.covered)}" lines-valid="${String(all.lines)}" branches-covered="0" branches-valid="0" complexity="0" version="Linux ${escape(kernel)}" timestamp="0">`,
    '  <sources><source>.</source></sources>',
    '  <packages>',
    ...folders.flatMap((folder) => {
      const members = files.filter(({ file }) => path.posix.dirname(file) === folder);
      return [
        `    <package name="${escape(folder)}" ${rates(total(members))} complexity="0">`,
        ...['      <classes>', ...members.flatMap(classOf), '      </classes>', '    </package>'],
      ];
    }),
    '  </packages>',
    '</coverage>',
    '',
  ].join('\n');
}

function classOf(file: CoveredFile): string[] {
  const name = escape(path.posix.basename(file.file));
  return [
    `        <class name="${name}" filename="${escape(file.file)}" ${rates(file)} complexity="0">`,
    '          <methods>',
    ...file.functions.flatMap((called) => [
      `            <method name="${escape(called.name)}" signature="" ${rates({ lines: 1, covered: Number(called.count > 0) })} complexity="0">`,
      `              <lines>${lineOf(called)}</lines>`,
      '            </method>',
    ]),
    '          </methods>',
    '          <lines>',
    ...file.counts.map((line) => `            ${lineOf(line)}`),
    '          </lines>',
    '        </class>',
  ];
}

function lineOf({ line, count }: CoveredLine): string {
  return `<line number="${String(line)}" hits="${String(count)}" branch="false"/>`;
}

function rates({ lines, covered }: Share): string {
  return `line-rate="${(lines === 0 ? 0 : covered / lines).toFixed(4)}" branch-rate="0"`;
}
