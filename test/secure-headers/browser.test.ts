import diagnosticsChannel from 'node:diagnostics_channel'
import { chromium, type Page } from 'playwright-core'
import Fastify from 'fastify'
import { test, type Test } from 'tap'
import secureHeaders, { NONCE, REPORT_CHANNEL, hash, type SecureHeadersOptions, type SecurityReportMessage } from '@fastkeep/secure-headers'
import { needs, pathOf } from '../programs.js'
import { certificate } from './certificate.js'
import { listen } from './servers.js'

const skip = needs('chromium')

/** A script that leaves its name where it may run. */
function script (name: string): string {
  return `document.documentElement.dataset.${name} = 'ran'`
}

function pageWith (nonce: string): string {
  return `<!doctype html><html><title>x</title><link rel="icon" href="data:,"><style nonce="${nonce}">p { color: rgb(1, 2, 3) }</style><p>x</p>
    <script nonce="${nonce}">${script('nonce')}</script><script>${script('hash')}</script><script>${script('injected')}</script>
    <img src="data:," onerror="${script('handler')}"></html>`
}

/** The page in a browser, over TLS. */
async function open (t: Test, options: SecureHeadersOptions): Promise<Page> {
  const app = Fastify({ https: certificate() })
  await app.register(secureHeaders, { reporting: { path: '/reports' }, ...options })
  app.get('/', async (_, reply) => await reply.type('text/html').send(pageWith(`${reply.cspNonce}`)))
  const port = await listen(t, app)
  const browser = await chromium.launch({
    executablePath: pathOf('chromium') as string,
    // Without the last, Chromium gathers reports for a minute.
    args: ['--no-sandbox', '--host-resolver-rules=MAP example.test 127.0.0.1', '--short-reporting-delay'],
  })
  t.teardown(() => browser.close())
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
  await page.goto(`https://example.test:${port}/`)
  return page
}

test('a browser runs what has the nonce or the hash and nothing else, and reports the rest to the route', { skip }, async t => {
  const reports: SecurityReportMessage[] = []
  const reported = new Promise<void>(resolve => {
    const listener = (message: unknown): void => {
      reports.push(message as SecurityReportMessage)
      if (reports.length >= 2) resolve()
    }
    diagnosticsChannel.subscribe(REPORT_CHANNEL, listener)
    t.teardown(() => diagnosticsChannel.unsubscribe(REPORT_CHANNEL, listener))
  })
  const page = await open(t, { contentSecurityPolicy: { directives: { scriptSrc: { append: [hash(script('hash')), NONCE] }, styleSrc: { append: [NONCE] } } } })
  t.same(await page.evaluate('({ ...document.documentElement.dataset })'), { nonce: 'ran', hash: 'ran' })
  t.equal(await page.evaluate('getComputedStyle(document.querySelector("p")).color'), 'rgb(1, 2, 3)')
  t.equal(await page.evaluate('isSecureContext && originAgentCluster'), true)
  await reported
  t.same(reports.map(({ report, request }) => [report.type, request.headers['content-type']]), Array(2).fill(['csp-violation', 'application/reports+json']))
  t.same(reports.map(({ report: { body } }) => (body as { effectiveDirective: string }).effectiveDirective).sort(), ['script-src-attr', 'script-src-elem'])
})
