import diagnosticsChannel from 'node:diagnostics_channel'
import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import secureHeaders, { REPORT_CHANNEL, type ReportingOptions, type SecurityReportMessage } from '@fastkeep/secure-headers'
import { ask, listen, page, sources } from './servers.js'

const LEGACY = 'application/csp-report'
const MODERN = 'application/reports+json'

interface Reported {
  readonly messages: SecurityReportMessage[]
  readonly logs: Array<{ code?: string, report?: { type: string }, repeats?: number, dropped?: number }>
}

function watch (t: Test): Reported {
  const reported: Reported = { messages: [], logs: [] }
  const listener = (message: unknown): void => { reported.messages.push(message as SecurityReportMessage) }
  diagnosticsChannel.subscribe(REPORT_CHANNEL, listener)
  t.teardown(() => diagnosticsChannel.unsubscribe(REPORT_CHANNEL, listener))
  return reported
}

async function appOf (reporting: ReportingOptions, { logs }: Reported): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { logs.push(JSON.parse(line) as Reported['logs'][number]) } } } })
  await app.register(secureHeaders, { reporting, contentSecurityPolicyReportOnly: {}, crossOriginOpenerPolicyReportOnly: 'same-origin' })
  app.get('/', page)
  return app as unknown as FastifyInstance
}

async function post (port: number, type: string, body: unknown, path = '/reports'): Promise<{ status: number, text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST', headers: { 'content-type': type, 'user-agent': 'A browser' }, body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, text: await response.text() }
}

const violation = (blocked: string): object => ({
  'csp-report': {
    'document-uri': 'https://user:secret@example.test/page?token=secret#here',
    'blocked-uri': blocked,
    'violated-directive': 'img-src',
    'effective-directive': 'img-src',
    'original-policy': 'x',
    disposition: 'report',
    'line-number': 3,
    'status-code': 200,
    'script-sample': '',
  },
})

const report = (type: string, body: object): object => ({ type, age: 12, url: 'https://example.test/page?token=secret', user_agent: 'Its own', body })

test('the headers of documents tell browsers where to report, in both ways', async t => {
  const reported = watch(t)
  const app = await appOf({ path: '/reports', endpoints: { other: 'https://reports.example/a' } }, reported)
  app.get('/json', async () => ({}))
  app.get('/own', { secureHeaders: { contentSecurityPolicy: { directives: { reportUri: ['/elsewhere'] } } } }, page)
  app.get('/none', { secureHeaders: { reporting: false } }, page)
  const port = await listen(t, app)
  const answer = await ask(port)
  t.equal(answer.headers['reporting-endpoints'], 'security="/reports", other="https://reports.example/a"')
  t.equal(sources(answer, 'report-uri'), '/reports')
  t.equal(sources(answer, 'report-to'), 'security')
  t.match(answer.headers['content-security-policy-report-only'], /; report-uri \/reports; report-to security$/)
  t.equal(answer.headers['cross-origin-opener-policy'], 'same-origin; report-to="security"')
  t.equal(answer.headers['cross-origin-opener-policy-report-only'], 'same-origin; report-to="security"')
  t.equal((await ask(port, '/json')).headers['reporting-endpoints'], undefined)
  t.equal(sources(await ask(port, '/own'), 'report-uri'), '/elsewhere')
  t.equal(sources(await ask(port, '/own'), 'report-to'), undefined)
  const none = await ask(port, '/none')
  t.match(none.headers, { 'reporting-endpoints': undefined, 'cross-origin-opener-policy': 'same-origin' })
  t.equal(sources(none, 'report-uri'), undefined)
})

test('Report-To is sent where it is asked for', async t => {
  const port = await listen(t, await appOf({ path: '/reports', reportTo: true, endpoints: { other: 'https://reports.example/a' } }, watch(t)))
  const groups = JSON.parse(`[${String((await ask(port)).headers['report-to'])}]`) as unknown
  t.same(groups, [['security', '/reports'], ['other', 'https://reports.example/a']].map(([group, url]) => ({ group, max_age: 10_886_400, endpoints: [{ url }] })))
})

test('a violation in the old form is logged and published once, without what may be secret', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports' }, reported))
  t.equal((await post(port, LEGACY, violation('https://evil.example/x.png?a=secret'))).status, 204)
  const [message] = reported.messages
  t.same(message?.report, {
    type: 'csp-violation',
    url: 'https://example.test/page',
    age: 0,
    userAgent: 'A browser',
    body: {
      documentURL: 'https://example.test/page',
      blockedURL: 'https://evil.example/x.png',
      effectiveDirective: 'img-src',
      disposition: 'report',
      sourceFile: '',
      lineNumber: 3,
      columnNumber: 0,
      statusCode: 200,
      sample: '',
      referrer: '',
    },
  })
  t.equal(message?.request.url, '/reports')
  t.match(reported.logs, [{ code: 'FST_KEEP_SECURE_HEADERS_REPORT', level: 40, report: { type: 'csp-violation' }, repeats: 0 }])
  t.notMatch(JSON.stringify(reported.logs), 'secret')
})

test('reports of any type come in the new form, many at once', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports' }, reported))
  const { status } = await post(port, MODERN, [
    report('csp-violation', { documentURL: 'https://example.test/', blockedURL: 'inline', effectiveDirective: 'script-src-elem', disposition: 'enforce', sample: 'alert(1)' }),
    report('coop', { disposition: 'reporting', effectivePolicy: 'same-origin', type: 'navigation-to-response', nested: { a: 1 } }),
    'nonsense', null, { type: 1 },
  ])
  t.equal(status, 204)
  t.match(reported.messages.map(({ report }) => report), [
    { type: 'csp-violation', age: 12, url: 'https://example.test/page', userAgent: 'Its own', body: { blockedURL: 'inline', sample: 'alert(1)' } },
    { type: 'coop', body: { effectivePolicy: 'same-origin' } },
  ])
  t.equal(reported.messages.length, 2)
  t.notOk('nested' in (reported.messages[1]?.report.body ?? {}))
})

test('like reports are published once in a time, others are published', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports' }, reported))
  for (const blocked of ['https://a.example/', 'https://a.example/', 'https://b.example/', 'https://a.example/']) {
    t.equal((await post(port, LEGACY, violation(blocked))).status, 204)
  }
  t.equal(reported.messages.length, 2)
  t.equal(reported.logs.length, 2)
})

test('what is no report is refused and published nowhere', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports', bodyLimit: 2048 }, reported))
  const refused: ReadonlyArray<readonly [number, string, unknown]> = [
    [400, LEGACY, '{'], [400, LEGACY, '[]'], [400, LEGACY, { 'csp-report': 'x' }], [400, MODERN, [1, 'x']], [400, MODERN, '{"__proto__":{"csp-report":{}}}'],
    [413, LEGACY, violation('x'.repeat(4096))], [415, 'application/json', violation('x')], [415, 'text/plain', 'x'],
  ]
  for (const [status, type, body] of refused) {
    const answer = await post(port, type, body)
    t.equal(answer.status, status, `${type} ${JSON.stringify(body).slice(0, 40)}`)
    if (status === 400) t.match(answer.text, /"code":"FST_KEEP_SECURE_HEADERS_REPORT_INVALID"/)
  }
  t.equal(reported.messages.length, 0)
})

test('a client that sends too many is answered with 429 before its body is read', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports', perMinute: 2, deduplicateFor: 0 }, reported))
  const answers: Array<{ status: number, text: string }> = []
  for (let i = 0; i < 4; i++) answers.push(await post(port, LEGACY, i < 2 ? violation('inline') : '{'))
  // A minute may end in between, after which two more are let through.
  t.match(answers.slice(0, 2), [{ status: 204 }, { status: 204 }])
  t.match(answers.find(({ status }) => status === 429)?.text, /"code":"FST_KEEP_SECURE_HEADERS_REPORT_RATE"/)
})

test('a flood of different reports is cut, and what was cut is counted', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports', reportsPerMinute: 3 }, reported))
  const many = Array.from({ length: 50 }, (_, i) => report('csp-violation', { documentURL: 'https://example.test/', blockedURL: `https://${i}.example/` }))
  t.equal((await post(port, MODERN, many)).status, 204)
  t.ok(reported.messages.length >= 3 && reported.messages.length <= 6)
})

test('a report that a flood has cut is published when it comes again', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports', reportsPerMinute: 1 }, reported))
  await post(port, LEGACY, violation('https://flood.example/'))
  const cut = violation('https://a.example/')
  await post(port, LEGACY, cut)
  t.equal(reported.messages.length, 1)
  const { now } = performance
  t.teardown(() => { performance.now = now })
  performance.now = () => now.call(performance) + 60_000
  await post(port, LEGACY, cut)
  t.match(reported.logs.map(({ dropped }) => dropped), [0, 1])
})

test('a report in words is told whole, without what URLs in it may hide', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports' }, reported))
  await post(port, MODERN, report('deprecation', { message: 'Old: see "https://u:secret@example.test/a?b=secret#secret" for more\u001b[2J\n.', columnNumber: 3 }))
  t.match(reported.messages, [{ report: { body: { message: 'Old: see "https://example.test/a" for more [2J .', columnNumber: 3 } } }])
  await post(port, LEGACY, violation('data:text/html,secret'))
  t.match(reported.messages[1], { report: { body: { blockedURL: 'data' } } })
})

test('long strings and line breaks of a report cannot spoil the log', async t => {
  const reported = watch(t)
  const port = await listen(t, await appOf({ path: '/reports' }, reported))
  await post(port, MODERN, report('x'.repeat(5000), { text: `a\n{"level":60}${'y'.repeat(5000)}` }))
  t.equal(reported.logs.length, 1)
  t.ok(JSON.stringify(reported.logs).length < 3000)
})

test('the media types of reports are known at the route of reports only', async t => {
  const app = await appOf({ path: '/reports' }, watch(t))
  app.post('/other', async () => 'x')
  const port = await listen(t, app)
  t.equal((await post(port, LEGACY, violation('inline'), '/other')).status, 415)
})

test('the route of reports is under the prefix of its scope', async t => {
  const reported = watch(t)
  const app = Fastify()
  await app.register(async child => {
    await child.register(secureHeaders, { reporting: { path: '/reports', endpoint: 'child' } })
    child.get('/', page)
  }, { prefix: '/child' })
  const port = await listen(t, app)
  t.equal((await ask(port, '/child/')).headers['reporting-endpoints'], 'child="/child/reports"')
  t.equal((await post(port, LEGACY, violation('inline'), '/child/reports')).status, 204)
  t.equal(reported.messages.length, 1)
})

test('reporting that browsers could not use is refused', async t => {
  const refusals: ReadonlyArray<readonly [unknown, RegExp]> = [
    [{}, /REPORTING.*reports go nowhere/], [{ path: 'reports' }, /OPTION_INVALID.*a path such as/], [{ path: '/a;b' }, /OPTION_INVALID/],
    [{ path: '/a"b' }, /OPTION_INVALID/], [{ path: '/:id' }, /OPTION_INVALID/], [{ path: '//evil.example' }, /OPTION_INVALID/],
    [{ path: '/a', endpoint: 'A B' }, /OPTION_INVALID/], [{ path: '/a', bodyLimit: 1 }, /OPTION_INVALID/],
    [{ endpoints: { x: 'http://plain.example' } }, /REPORTING.*https/], [{ endpoints: { x: '/a", y="' } }, /REPORTING/],
    [{ endpoints: { 'X y': '/a' } }, /REPORTING.*no name/], [{ path: '/a', endpoints: { security: '/b' } }, /REPORTING.*another name/],
    [{ path: '/a', endpoints: { x: 1 } }, /OPTION_INVALID/], [{ pth: '/a' }, /OPTION_UNKNOWN.*"path"/],
  ]
  for (const [reporting, pattern] of refusals) {
    const error = await Fastify().register(secureHeaders, { reporting: reporting as ReportingOptions }).then(() => undefined, (error: Error & { code: string }) => error)
    t.match(`${error?.code} ${error?.message}`, pattern)
  }
  await t.rejects(async () => {
    await Fastify().register(async child => { await child.register(secureHeaders, { reporting: { path: '/a' } }) }, { prefix: '/:tenant' })
  }, { code: 'FST_KEEP_SECURE_HEADERS_REPORTING', message: /"\/:tenant\/a"/ })
})
