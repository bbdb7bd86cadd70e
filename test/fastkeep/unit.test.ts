import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { test } from 'tap'
import { systemdUnit, type Configuration } from 'fastkeep'
import { needs } from '../programs.js'
import { Project } from './project.js'

const run = promisify(execFile)
const PROGRAM = { node: '/usr/bin/node', execArgv: [], program: '/usr/bin/fastkeep', directory: '/srv/shop' }

function unitFor (options: Configuration['options'], app = 'app.js'): string {
  return systemdUnit(app, { options, effective: [], file: undefined }, PROGRAM)
}

test('systemd finds nothing to complain about in the unit', { skip: needs('systemd-analyze') }, async t => {
  const project = new Project(t)
  const { code, output } = await project.run(['unit', 'plugin.mjs', '--port', '80', '--user', 'www-data', '--log', '/var/log/shop/app.log', '--drain-deadline', '60000'])
  t.equal(code, 0)
  writeFileSync(project.path('shop.service'), output)
  const { stderr } = await run('systemd-analyze', ['verify', '--man=no', project.path('shop.service')])
  t.notMatch(stderr, 'shop.service')
  const { stdout } = await run('systemd-analyze', ['security', '--offline=yes', '--no-pager', project.path('shop.service')])
  const [, exposure] = /Overall exposure level for shop\.service: ([\d.]+)/.exec(stdout) ?? []
  t.ok(Number(exposure) < 2.5, `exposure ${exposure}`)
})

test('the unit starts the app as the flags say, in systemd\'s own words where it has some', async t => {
  const project = new Project(t)
  writeFileSync(project.path('fastkeep.config.json'), '{ "drain": { "deadline": 60000 } }')
  const { output } = await project.run(['unit', 'plugin.mjs', '--port', '8080', '--user', 'shop', '--group', 'web', '--umask', '077', '--daemon', '--host', '127.0.0.1,::1'], { env: { FASTKEEP_LOG_LEVEL: 'warn' } })
  const name = project.directory.split('/').at(-1) as string
  t.match(output, `start ${project.path('plugin.mjs')} --config ${project.path('fastkeep.config.json')} --pid-file /run/${name}/${name}.pid --no-daemon --log-level warn --port 8080 --host 127.0.0.1,::1\n`)
  t.match(output, `ExecReload=${process.execPath} `)
  t.match(output, ` reload --pid-file /run/${name}/${name}.pid --control-socket /run/${name}/${name}.pid.sock\n`)
  t.match(output, new RegExp(`^ExecStop=-.* stop --pid-file /run/${name}/${name}.pid --control-socket /run/${name}/${name}.pid.sock$`, 'm'))
  t.match(output, 'User=shop\nGroup=web\n')
  t.match(output, 'UMask=0077\n')
  t.match(output, 'TimeoutStopSec=70\n')
  t.notMatch(output, '--user')
  t.notMatch(output, '--daemon')
})

test('the sandbox is as tight as the app allows', t => {
  const plain = unitFor({ port: 8080 })
  for (const line of ['Type=notify', 'KillMode=mixed', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'SystemCallFilter=@system-service', 'CapabilityBoundingSet=', 'DynamicUser=yes', 'RuntimeDirectory=shop', 'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK', 'OOMPolicy=continue', 'StartLimitIntervalSec=0', 'WatchdogSec=30']) {
    t.ok(plain.split('\n').includes(line), line)
  }
  t.notMatch(plain, 'MemoryDenyWriteExecute', 'V8 could not compile')
  t.notMatch(plain, 'ReadWritePaths')
  t.match(unitFor({ port: 443 }), /^CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE$/m)
  t.match(unitFor({ path: '/run/shop/http.sock', port: 443 }), /^CapabilityBoundingSet=$/m)
  t.match(unitFor({ log: '/var/log/web/app.log', pidFile: '/srv/shop/app.pid', controlSocket: '/run/web/app.sock' }), /^ReadWritePaths=\/srv\/shop \/run\/web \/var\/log\/web$/m)
  const own = unitFor({ log: '/var/log/shop/app.log', logFiles: ['/var/lib/shop/audit.log'] })
  t.match(own, /^RuntimeDirectory=shop\nLogsDirectory=shop\nStateDirectory=shop$/m, 'systemd makes what is named after the service')
  t.notMatch(own, 'ReadWritePaths')
  t.match(unitFor({}, '/home/ann/app.js'), /^ProtectHome=read-only$/m)
  t.match(systemdUnit('app.js', { options: {}, effective: [], file: undefined }, { ...PROGRAM, node: '/home/ann/.nvm/versions/node/v24.1.0/bin/node' }), /^ProtectHome=read-only$/m)
  t.end()
})

test('systemd waits for as long as a start, a reload and a stop may take', t => {
  const lines = (options: Configuration['options']): string[] => unitFor(options).split('\n').filter(line => line.startsWith('Timeout'))
  t.same(lines({}), ['TimeoutStartSec=167', 'TimeoutStopSec=35'])
  t.same(lines({ workers: 3, readyTimeout: 5_000, drain: { delay: 1_000, deadline: 20_000, restartIdleWindow: 500 } }), ['TimeoutStartSec=46', 'TimeoutStopSec=31'])
  t.same(lines({ restartTimeout: 120_000 }), ['TimeoutStartSec=227', 'TimeoutStopSec=35'])
  t.end()
})

test('a service without a control socket is reloaded and stopped by signals', t => {
  const unit = unitFor({ controlSocket: false })
  t.match(unit, 'ExecReload=/bin/kill -s HUP $MAINPID\n')
  t.match(unit, 'stop --pid-file /run/shop/shop.pid --control-socket none\n')
  t.end()
})

test('spaces, percent and dollar signs in paths reach the program as they are', t => {
  const unit = systemdUnit('my app 100%.js', { options: {}, effective: [], file: undefined }, { ...PROGRAM, directory: '/srv/a $b' })
  t.match(unit, 'start "/srv/a $$b/my app 100%%.js"')
  t.match(unit, 'RuntimeDirectory=a--b\n')
  t.end()
})
