import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { completionScript, main, type Terminal } from 'fastkeep'
import { needs } from '../programs.js'
import { Project } from './project.js'

/** What a command line says, by the place where it says it. */
async function said (...argv: string[]): Promise<{ code: number, printed: string, told: string }> {
  const lines: Record<'printed' | 'told', string[]> = { printed: [], told: [] }
  const terminal: Terminal = { hasColours: false, print: text => lines.printed.push(text), tell: text => lines.told.push(text), progress: () => {} }
  const code = await main(argv, terminal)
  return { code, printed: lines.printed.join('\n'), told: lines.told.join('\n') }
}

const COMMANDS = ['start', 'stop', 'restart', 'reload', 'graceful', 'status', 'scale', 'check', 'unit', 'cert', 'grade', 'completion']

test('help goes to standard output with 0; no command at all is a mistake, 64', async t => {
  for (const argv of [['--help'], ['-h'], ['help']]) {
    const { code, printed } = await said(...argv)
    t.equal(code, 0)
    for (const command of COMMANDS) t.match(printed, new RegExp(`^  ${command}\\b`, 'm'))
  }
  t.match(await said(), { code: 64, printed: '', told: /start <app>/ })
})

test('every command has help of its own, with a text for each flag', async t => {
  for (const command of COMMANDS) {
    const { code, printed } = await said(command, '--help')
    t.equal(code, 0)
    t.match(printed, new RegExp(`^fastkeep ${command}`))
    for (const line of printed.split('\n').filter(line => line.startsWith('  --'))) t.match(line, /^ {2}--[a-z-]+( <\w+>)?( {2,}\S.*)?$/)
    t.notMatch(printed.replaceAll(/\n {3,}/g, ' '), /^ {2}--[a-z-]+( <value>)? *(\(.*\))?$/m, 'no flag without a text')
    t.equal((await said('help', command)).printed, printed)
  }
  const { printed } = await said('check', '--help')
  t.match(printed, /It takes all flags of "fastkeep start" as well/)
  t.notMatch(printed, '--port')
  t.match((await said('start', '--help')).printed, /\nWhere it listens:\n {2}--port <value> [^]*\nFor development:\n/)
  t.match((await said('start', '--help')).printed, /--drain-deadline <value> +ms after which .* \(25000\)/)
})

test('the version is that of the package', async t => {
  const { version } = JSON.parse(readFileSync(new URL('../../packages/fastkeep/package.json', import.meta.url), 'utf8')) as { version: string }
  for (const flag of ['--version', '-v']) t.same(await said(flag), { code: 0, printed: version, told: '' })
})

test('what is misspelt, missing or too much is 64 with what was meant', async t => {
  const cases: Array<[string[], RegExp]> = [
    [['strat'], /no command "strat", did you mean "start"/],
    [['--verson'], /did you mean "--version"/],
    [['brew'], /no command "brew"; there are start, /],
    [['start'], /<app> is missing; usage: fastkeep start <app>/],
    [['start', 'a.js', 'b.js'], /"b\.js" is too much/],
    [['start', 'a.js', '--prot', '80'], /no flag --prot, did you mean "--port"/],
    [['start', 'a.js', '--port', 'http'], /--port must be .* got "http"/],
    [['start', 'a.js', '--workers', '0'], /--workers must be a whole number from 1 to 1024, or "auto", got "0"/],
    [['start', 'a.js', '--log-level', 'inof'], /--log-level must be .* did you mean "info"/],
    [['status', '--port', '80'], /no flag --port/],
    [['status', '--json', '--json'], /once/],
    [['completion', 'bsh'], /did you mean "bash"/],
  ]
  for (const [argv, message] of cases) {
    const { code, told } = await said(...argv)
    t.equal(code, 64, argv.join(' '))
    t.match(told, message)
  }
})

test('completion scripts name every command and every flag', t => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = completionScript(shell, [{ name: 'go', summary: "it's gone", flags: {}, operands: [{ name: 'where', completes: ['here', 'there'] }], run: async () => 0 }])
    t.match(script, /go/)
    t.match(script, /here there/)
  }
  t.equal(completionScript('toString', []), undefined)
  t.end()
})

test('bash completes commands, flags and shells', { skip: needs('bash') }, async t => {
  const project = new Project(t)
  const { output } = await project.run(['completion', 'bash'])
  writeFileSync(project.path('completion.bash'), output)
  const completed = (words: string[]): string[] => {
    const line = `source completion.bash; COMP_WORDS=(${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _fastkeep; printf '%s\\n' "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', line], { cwd: project.directory, encoding: 'utf8' }).trim().split('\n')
  }
  t.same(completed(['fastkeep', 'st']), ['start', 'stop', 'status'])
  t.same(completed(['fastkeep', 'start', '--drain-de']), ['--drain-delay', '--drain-deadline'])
  t.same(completed(['fastkeep', 'completion', '']), ['--help', 'bash', 'zsh', 'fish'])
})
