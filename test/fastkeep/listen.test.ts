import { lstatSync } from 'node:fs'
import { test } from 'tap'
import { parseListen } from '../../packages/fastkeep/src/listen-text.js'
import { Project } from './project.js'

test('an address of --listen is a port, a host and a port, or a unix socket, with or without a name', async t => {
  for (const [text, expected] of [
    ['8080', { port: 8080 }],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:443', { host: '::1', port: 443 }],
    ['https=[fe80::1%eth0]:443', { socketName: 'https', host: 'fe80::1%eth0', port: 443 }],
    ['unix:/run/shop.sock', { path: '/run/shop.sock' }],
    ['admin=unix:run/admin.sock', { socketName: 'admin', path: 'run/admin.sock' }],
  ] as const) t.same(parseListen(text), expected, text)
  for (const text of ['', 'x', '65536', '-1', '080', '::1:80', '1.2.3.4', 'unix:', 'a=', '=80', 'http://a:80', 'a b:80']) t.equal(parseListen(text), undefined, text)
})

test('start --workers --listen serves on all addresses, and the status names them', async t => {
  const project = new Project(t)
  const path = project.path('app.sock')
  const child = project.begin(['start', 'plugin.mjs', '--workers', '1', '--listen', `127.0.0.1:0,127.0.0.2:0,unix:${path}`, '--mode', '660', '--pid-file', project.pidFile])
  const { urls } = await project.serving(child)
  t.equal(urls.length, 3)
  t.ok(urls.includes(`unix:${path}`))
  t.equal(lstatSync(path).mode & 0o777, 0o660)
  for (const url of urls.filter(url => url.startsWith('http://127.0.0.'))) t.equal((await fetch(url, { headers: { connection: 'close' } })).status, 200)
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
  t.match(await project.run(['check', '--workers', '1', '--listen', `127.0.0.1:0,unix:${path}`]), { code: 0, output: /ok +address: 127\.0\.0\.1, a port that the system chooses; unix:/ })
})

test('a wrong address, one beside --port, and --listen without workers are refused', async t => {
  const project = new Project(t)
  const refused = async (args: readonly string[], output: RegExp): Promise<void> => {
    t.match(await project.run(['start', 'plugin.mjs', ...args]), { code: 64, output })
  }
  await refused(['--workers', '1', '--listen', 'http://127.0.0.1'], /--listen must be one or more addresses like 8080, .* got "http:\/\/127\.0\.0\.1"/)
  await refused(['--workers', '1', '--listen', '8080', '--port', '80'], /"listen" and "port" contradict each other: put all addresses into "listen"/)
  await refused(['--recycle-requests', '100'], /"recycle" is for workers/)
  await refused(['--listen', '8080'], /"listen" is for workers: give --workers too, 1 is enough/)
})
