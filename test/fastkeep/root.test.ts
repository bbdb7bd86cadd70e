import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { Child, plainEnvironment } from '../child.js'
import { needsRoot } from '../programs.js'
import { CLI, Project } from './project.js'

const NOBODY = 65_534

test('root serves no app that others could change: the file, or a directory above it', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  const app = project.path('plugin.mjs')
  const refused = async (message: RegExp): Promise<void> => {
    const { code, output } = await project.run(['start', app])
    t.equal(code, 78)
    t.match(output, message)
  }
  chmodSync(app, 0o646)
  await refused(/this process is root, and .*plugin\.mjs can be written to by everybody/)
  chmodSync(app, 0o644)
  chownSync(app, NOBODY, 0)
  await refused(/plugin\.mjs belongs to uid 65534/)
  chownSync(app, 0, NOBODY)
  chmodSync(app, 0o664)
  await refused(/can be written to by the group 65534/)
  chmodSync(app, 0o644)
  chmodSync(project.directory, 0o777)
  await refused(/, above .*plugin\.mjs, can be written to by everybody/)
  chmodSync(project.directory, 0o755)
  mkdirSync(project.path('open'))
  chmodSync(project.path('open'), 0o777)
  renameSync(project.path('plugin.cjs'), project.path('open/plugin.cjs'))
  symlinkSync('open/plugin.cjs', project.path('link.cjs'))
  const { code, output } = await project.run(['start', 'link.cjs'])
  t.equal(code, 78)
  t.match(output, /open, above .*open\/plugin\.cjs, can be written to by everybody/)
})

test('root reads no configuration that others could change', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  writeFileSync(project.path('fastkeep.config.json'), '{}')
  chmodSync(project.path('fastkeep.config.json'), 0o666)
  for (const args of [['start', 'plugin.mjs'], ['check'], ['status', '--pid-file', 'x.pid']]) {
    const { code, output } = await project.run(args)
    t.equal(code, 78)
    t.match(output, /fastkeep\.config\.json can be written to by everybody/)
  }
})

test('a configuration that is code is evaluated as the target user, who must be named outside of it', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  writeFileSync(project.path('fastkeep.config.mjs'), `console.log('printed')
export default () => ({ host: process.getuid() === ${NOBODY} && process.getgid() === ${NOBODY} && process.getgroups().join() === '${NOBODY}' ? '127.0.0.7' : '127.0.0.8' })`)
  const unnamed = await project.run(['start', 'plugin.mjs'])
  t.equal(unnamed.code, 78)
  t.match(unnamed.output, /fastkeep\.config\.mjs is code, which is not run as root: name the user/)
  const { child, url } = await project.start('plugin.mjs', ['--user', String(NOBODY)])
  t.match(url, 'http://127.0.0.7:')
  t.equal((await (await fetch(url)).json() as { uid: number }).uid, NOBODY)
  child.kill('SIGTERM')
  t.equal((await child.ended).code, 0)

  for (const [text, message] of [
    ['export default { crash: { exit () {} } }', /"crash\.exit" is a function/],
    ['export default { prot: 1 }', /unknown option "prot", did you mean "port"/],
    ["import 'node:fs'\nthrow new Error('no')", /failed: no/],
  ] as const) {
    writeFileSync(project.path('fastkeep.config.mjs'), text)
    const { code, output } = await project.run(['start', 'plugin.mjs'], { env: { FASTKEEP_USER: String(NOBODY) } })
    t.equal(code, 78)
    t.match(output, message)
  }
})

test('the control socket of a service of root is no other user\'s: 77, and its status is unknown to him', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  await project.start('plugin.mjs')
  for (const [command, expected] of [['reload', 77], ['stop', 77], ['status', 4]] as const) {
    const child = new Child(t, process.execPath, [CLI, command, '--control-socket', `${project.pidFile}.sock`], { uid: NOBODY, gid: NOBODY, env: plainEnvironment(), cwd: '/' })
    t.equal((await child.ended).code, expected)
    t.match(child.output, 'no permission for the control socket')
  }
  t.equal((await project.run(['status', '--pid-file', project.pidFile])).code, 0)
})

test('workers of another user get the keys that only root may read, renewed by "graceful"; one that root cannot read either changes nothing', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  writeFileSync(project.path('key.pem'), 'the first key', { mode: 0o600 })
  const child = project.begin(['start', 'secretive.mjs', '--workers', '1', '--user', 'nobody', '--secrets', 'key.pem', '--pid-file', project.pidFile])
  const { urls } = await project.serving(child)
  const key = async (): Promise<unknown> => await (await fetch(`${urls[0]}/key`)).json()
  t.same(await key(), { key: 'the first key' })
  writeFileSync(project.path('key.pem'), 'the second key')
  t.equal((await project.run(['graceful', '--pid-file', project.pidFile])).code, 0)
  t.same(await key(), { key: 'the second key' })
  rmSync(project.path('key.pem'))
  t.match(await project.run(['graceful', '--pid-file', project.pidFile]), { code: 78, output: /the secret .*key\.pem cannot be read: ENOENT/ })
  t.same(await key(), { key: 'the second key' })
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('one process does not start with a key that its user could not read again, and says both ways out', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  writeFileSync(project.path('key.pem'), 'the key', { mode: 0o600 })
  t.match(await project.run(['start', 'secretive.mjs', '--workers', '1', '--user', 'nobody', '--must-read', 'key.pem']), { code: 77, output: /will not be able to read .*key\.pem/ })
  const { code, output } = await project.run(['start', 'secretive.mjs', '--user', 'nobody', '--secrets', 'key.pem'])
  t.equal(code, 77)
  t.match(output, /will not be able to read .*key\.pem \(EACCES\), e\.g\. when keys are renewed; give the user or one of its groups access, .*, or run it with workers, whose supervisor stays root/)
})
