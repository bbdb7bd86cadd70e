import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test } from 'tap'
import { needsRoot } from '../programs.js'
import { Project } from './project.js'

test('check finds nothing against a start that would succeed, starts nothing and leaves nothing behind', async t => {
  const project = new Project(t)
  const before = readdirSync(project.directory)
  const { code, output } = await project.run(['check', 'plugin.mjs', '--pid-file', project.pidFile])
  t.equal(code, 0)
  t.match(output, /^ok +configuration: no file\n/)
  t.match(output, /\nok +PID file: .*app\.pid can be made\n/)
  t.match(output, /\nok +control socket: .*app\.pid\.sock can be made\n/)
  t.match(output, /\nok +address: 127\.0\.0\.1, a port that the system chooses\n/)
  t.match(output, /\nok +app: plugin\.mjs exports a plugin\n$/)
  t.same(readdirSync(project.directory), before)
})

test('check names each thing that stands against a start, and ends with the code of the first', async t => {
  const project = new Project(t)
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  writeFileSync(project.path('broken.mjs'), "throw new Error('no database')")
  const { code, output } = await project.run(['check', 'broken.mjs', '--port', String(port), '--pid-file', project.path('missing/app.pid')])
  t.equal(code, 73)
  t.match(output, /not ok +PID file: .*missing must be writable for the PID file: ENOENT/)
  t.match(output, new RegExp(`not ok +address: cannot listen on 127\\.0\\.0\\.1, port ${port}: another process listens there`))
  t.match(output, /not ok +app: .*broken\.mjs failed while it was loaded: no database/)

  const taken = await project.run(['check', '--port', String(port), '--json'])
  t.equal(taken.code, 71)
  t.match(JSON.parse(taken.output), [{ check: 'configuration', isGood: true }, { check: 'address', isGood: false, exitCode: 71 }].filter(({ check }) => check === 'configuration'))
  t.match((JSON.parse(taken.output) as Array<{ check: string }>).at(-1), { check: 'address', isGood: false, exitCode: 71 })
})

test('check tells a wrong configuration with 78, and what is no app', async t => {
  const project = new Project(t)
  t.match(await project.run(['check', 'number.mjs']), { code: 78, output: /not ok +app: .*no such file/ })
  writeFileSync(project.path('fastkeep.config.json'), '{ "prot": 1 }')
  const { code, output } = await project.run(['check'])
  t.equal(code, 78)
  t.match(output, /not ok +configuration: .*unknown option "prot", did you mean "port"/)
})

test('check tells with 73 that the service runs already', async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs')
  const { code, output } = await project.run(['check', '--pid-file', project.pidFile])
  t.equal(code, 73)
  t.match(output, `app.pid is held by process ${child.pid}`)
  t.ok(existsSync(project.pidFile))
})

test('check finds the user, and what he will not be able to read', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  t.match(await project.run(['check', '--user', 'nosuchuser']), { code: 78, output: /not ok +user: there is no user "nosuchuser"/ })
  t.match(await project.run(['check']), { code: 0, output: /warning +user: none: the service would run as root/ })
  t.match(await project.run(['check', '--user', '65534']), { code: 0, output: /ok +user: .*\(uid 65534, gid 65534\)/ })
  writeFileSync(project.path('key.pem'), '', { mode: 0o600 })
  t.match(await project.run(['check', '--user', '65534', '--must-read', project.path('key.pem')]), { code: 77, output: /not ok +user: .*will not be able to read/ })
  writeFileSync(project.path('secret.mjs'), 'export default (fastify, options) => {}', { mode: 0o600 })
  t.match(await project.run(['check', 'secret.mjs', '--user', '65534']), { code: 70, output: /not ok +app: .*permission denied/ })
})
