import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { statusPage, type Terminal, main } from 'fastkeep'
import type { EngineStatus } from '@fastkeep/engine'
import { needs } from '../programs.js'
import { Project } from './project.js'

test('cert makes a certificate for development, keeps it while it is good, and renews it when asked', async t => {
  const project = new Project(t)
  const first = await project.run(['cert', 'shop.test', '127.0.0.1'])
  t.equal(first.code, 0, first.output)
  t.match(first.output, /^made, valid until \d{4}-\d\d-\d\d\nca .*certificates\/ca\.pem\ncert .*\nkey .*\n.*curl --cacert .*ca\.pem https:\/\/shop\.test:8443\/\n$/)
  t.equal(statSync(project.path('certificates/key.pem')).mode & 0o777, 0o600)
  const pem = readFileSync(project.path('certificates/cert.pem'), 'utf8')
  t.match(new X509Certificate(pem).subjectAltName, 'DNS:shop.test, IP Address:127.0.0.1')

  t.match(await project.run(['cert', 'shop.test']), { code: 0, output: /^kept: it is still good/ })
  t.equal(readFileSync(project.path('certificates/cert.pem'), 'utf8'), pem)
  const renewed = await project.run(['cert', 'shop.test', '--renew', '--days', '3', '--json'])
  t.match(JSON.parse(renewed.output), { created: true, cert: project.path('certificates/cert.pem') })
  t.not(readFileSync(project.path('certificates/cert.pem'), 'utf8'), pem)
})

test('cert --request makes a key and a request that openssl takes, with the key encrypted on request', { skip: needs('openssl') }, async t => {
  const project = new Project(t)
  writeFileSync(project.path('passphrase'), 'sesame\n')
  const { code, output } = await project.run(['cert', '--request', 'example.org', 'www.example.org', '--directory', 'real', '--key-type', 'P-384', '--organization', 'Example', '--passphrase-file', 'passphrase'])
  t.equal(code, 0, output)
  t.match(readFileSync(project.path('real/key.pem'), 'utf8'), /BEGIN ENCRYPTED PRIVATE KEY/)
  t.notMatch(output, /sesame/)
  const text = execFileSync('openssl', ['req', '-in', project.path('real/request.pem'), '-noout', '-verify', '-text'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  t.match(text, /O ?= ?Example[^]*384 bit[^]*DNS:example\.org, DNS:www\.example\.org/)
  t.match(await project.run(['cert', '--request', 'example.org', '--directory', 'real']), { code: 78, output: /a key is never replaced/ })
})

test('cert refuses what means nothing together, with 64', async t => {
  const project = new Project(t)
  const cases: Array<[string[], RegExp]> = [
    [['--request'], /needs the names/],
    [['--request', 'a.test', '--days', '3'], /--days is for a certificate for development/],
    [['--key-type', 'P-384'], /--key-type is for a request/],
    [['--key-type', 'P-521'], /--key-type must be P-256, P-384/],
    [['--key-derivation', 'scrypt'], /--passphrase-file too/],
    [['--passphrase-file', 'nowhere'], /cannot read the passphrase from .*nowhere: ENOENT/],
    [['--days', '826'], /--days must be .*825/],
  ]
  for (const [args, message] of cases) t.match(await project.run(['cert', ...args]), { code: 64, output: message }, args.join(' '))
  t.match(await project.run(['cert', 'no name']), { code: 78, output: /"names" must be .*host name/ })
  t.notOk(readdirSync(project.directory).includes('certificates'))
})

test('check tells of the certificates of an app and of files, with what to do', async t => {
  const project = new Project(t)
  t.match(await project.run(['check', 'secure.mjs']), { code: 78, output: /not ok +app: .*no such file.*cert\.pem/ })
  await project.run(['cert', '--days', '20'])
  const { code, output } = await project.run(['check', 'secure.mjs'])
  t.equal(code, 0, output)
  t.match(output, /\nok +app: secure\.mjs exports an instance\nok +certificate: default until \d{4}-\d\d-\d\d\n/)

  const files = ['--cert', 'certificates/cert.pem', '--key', 'certificates/key.pem']
  t.match(await project.run(['check', ...files, '--hosts', 'localhost']), { code: 0, output: /\nok +certificate: default until/ })
  t.match(await project.run(['check', ...files, '--hosts', 'shop.test']), { code: 78, output: /\nnot ok +certificate: .*does not cover shop\.test; .*\(HOST_MISMATCH\)/ })
  execFileSync('chmod', ['0644', project.path('certificates/key.pem')])
  const warned = await project.run(['check', ...files, '--json'])
  t.equal(warned.code, 0)
  t.match((JSON.parse(warned.output) as Array<{ message: string }>).find(({ message }) => message.includes('KEY_FILE_MODE')), { check: 'certificate', isGood: true, isWarning: true, exitCode: 0, message: /chmod 0600/ })
  t.match(await project.run(['check', '--cert', 'nowhere.pem']), { code: 78, output: /no such file: .*nowhere\.pem/ })
})

test('grade grades a service, and ends with 1 below the grade that is wanted', async t => {
  const project = new Project(t)
  await project.run(['cert'])
  const child = project.begin(['start', 'secure.mjs', '--pid-file', project.pidFile])
  const { urls: [url = ''], certificates } = await project.serving(child)
  const { port } = new URL(url)
  t.match(certificates, [{ name: 'default', expires: /^\d{4}-/ }])
  t.match(await project.run(['status', '--pid-file', project.pidFile]), { code: 0, output: /\ncertificate +default: 89 days left\n/ })

  const trusted = ['--ca', 'certificates/ca.pem', '--servername', 'localhost']
  const good = await project.run(['grade', url, ...trusted, '--min', 'A+'])
  t.equal(good.code, 0, good.output)
  t.match(good.output, /^127\.0\.0\.1:\d+ as localhost +A\+ +by ssllabs-2009r/)
  t.ok(good.output.split('\n').length < 30, 'one screen')
  const json = await project.run(['grade', `127.0.0.1:${port}`, ...trusted, '--ruleset', 'testssl', '--json'])
  t.match(JSON.parse(json.output), { grade: 'A+', ruleset: 'testssl', scores: { protocol: 100 } })
  t.match(await project.run(['grade', `127.0.0.1:${port}`, '--servername', 'localhost', '--min', 'B']), { code: 1, output: /T is worse than B/ })
})

test('the status of a service with workers has their certificates, each once, and what each worker knows', async t => {
  const project = new Project(t)
  await project.run(['cert'])
  const child = project.begin(['start', 'secure.mjs', '--workers', '2', '--pid-file', project.pidFile])
  const { certificates, workers = [] } = await project.serving(child)
  t.match(certificates, [{ name: 'default', expires: /^\d{4}-/ }])
  t.equal(certificates?.length, 1)
  t.same(workers.map(({ parts }) => parts), [{ certificates }, { certificates }])
  t.match(await project.run(['status', '--pid-file', project.pidFile]), { code: 0, output: /\ncertificate +default: 89 days left\n/ })
})

test('grade tells with 69 that nothing answers, and with 64 what is no address or no grade', async t => {
  const project = new Project(t)
  t.match(await project.run(['grade', '127.0.0.1:9']), { code: 69, output: /cannot be reached \(ECONNREFUSED\)/ })
  for (const address of ['example.org:http', 'http://example.org', 'a b', '::1', 'example.org:70000']) t.match(await project.run(['grade', address]), { code: 64, output: /is no address/ }, address)
  t.match(await project.run(['grade', 'example.org', '--min', 'A++']), { code: 64, output: /--min must be A\+, A/ })
})

test('the grade is painted where there are colours, and a status shows the certificates that end first', async t => {
  const project = new Project(t)
  await project.run(['cert'])
  const child = project.begin(['start', 'secure.mjs', '--pid-file', project.pidFile])
  const { urls: [url = ''] } = await project.serving(child)
  const lines: string[] = []
  const terminal: Terminal = { hasColours: true, print: text => lines.push(text), tell: text => lines.push(text), progress: () => {} }
  t.equal(await main(['grade', url, '--servername', 'localhost'], terminal), 0)
  t.match(lines[0], '\u001b[31mT\u001b[0m')

  const certificates = Array.from({ length: 9 }, (_value, index) => ({ name: `n${index}.test`, expires: new Date(Date.UTC(2027, 0, 20 - index)).toISOString() }))
  const page = statusPage({ state: 'STARTED', pid: 1, uptime: 0, version: '', node: '', urls: [], connections: 0, requests: 0, memory: 0, eventLoopDelay: 0, certificates } as EngineStatus, { now: Date.UTC(2027, 0, 1) })
  t.match(page, /n8\.test: 11 days left\n.*n7\.test[^]*n4\.test[^]*and 4 that end later/)
  t.notMatch(page, /n3\.test/)
})
