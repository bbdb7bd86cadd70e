import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { test } from 'tap'
import secureHeaders, { errorCodes, secureHeaders as named, type CspDirectives, type PermissionsPolicyOptions, type SecureHeadersChanges, type SecureHeadersOptions } from '@fastkeep/secure-headers'

async function register (options: unknown): Promise<void> {
  await Fastify().register(secureHeaders, options as SecureHeadersOptions)
}

function csp (directives: CspDirectives | Record<string, unknown>): Promise<void> {
  return register({ contentSecurityPolicy: { directives } })
}

test('unknown options, directives and features are refused with the nearest name', async t => {
  const refusals: ReadonlyArray<readonly [unknown, RegExp]> = [
    [{ xFrameOption: 'DENY' }, /unknown option "xFrameOption", did you mean "xFrameOptions"/],
    [{ contentSecurityPolicy: { directive: {} } }, /"contentSecurityPolicy.directive", did you mean "directives"/],
    [{ contentSecurityPolicy: { directives: { 'scrpt-src': [] } } }, /directives.scrpt-src", did you mean "script-src"/],
    [{ contentSecurityPolicy: { directives: { scrptSrc: [] } } }, /did you mean "scriptSrc"/],
    [{ strictTransportSecurity: { includeSubdomains: true } }, /did you mean "includeSubDomains"/],
    [{ permissionsPolicy: { gelocation: [] } }, /did you mean "geolocation"/],
  ]
  for (const [options, message] of refusals) {
    await t.rejects(register(options), { code: 'FST_KEEP_SECURE_HEADERS_OPTION_UNKNOWN', message, exitCode: 78 })
  }
})

test('values that a header does not know are refused', async t => {
  const refusals: ReadonlyArray<readonly [unknown, RegExp]> = [
    [{ xFrameOptions: 'ALLOW' }, /"xFrameOptions" must be "DENY" or "SAMEORIGIN" or false, got "ALLOW"/],
    [{ referrerPolicy: 'no-refferer' }, /did you mean "no-referrer"/],
    [{ xFrameOptions: 'DENY\r\nSet-Cookie: a=b' }, /must be/],
    [{ originAgentCluster: true }, /must be "\?1"/],
    [{ contentSecurityPolicy: true }, /must be false or an object of options, got true/],
    [{ contentSecurityPolicy: { directives: { imgSrc: "'self'" } } }, /must be null or an array of strings/],
    [{ contentSecurityPolicy: { directives: { imgSrc: [1] } } }, /must be null or an array of strings/],
    [{ strictTransportSecurity: { maxAge: '1' } }, /must be a whole number of seconds/],
    [{ strictTransportSecurity: { maxAge: -1 } }, /must be a whole number of seconds/],
    [{ permissionsPolicy: { camera: 'self' } }, /must be null or an array of strings/],
    [{ permissionsPolicy: { camera: Array(1) } }, /must be null or an array of strings, got undefined at index 0/],
    [{ contentSecurityPolicy: { directives: { imgSrc: ["'self'", , 1] } } }, /got undefined at index 1/], // eslint-disable-line no-sparse-arrays
    [{ contentSecurityPolicy: { directives: new Map([['img-src', ['x']]]) } }, /"contentSecurityPolicy.directives" must be an object of options, got an instance of Map/],
  ]
  for (const [options, message] of refusals) {
    await t.rejects(register(options), { code: 'FST_KEEP_SECURE_HEADERS_OPTION_INVALID', message, exitCode: 78 })
  }
})

test('sources that would not do what they seem to do are refused and explained', async t => {
  const refusals: ReadonlyArray<readonly [Record<string, unknown>, RegExp]> = [
    [{ scriptSrc: ['self'] }, /script-src cannot have "self": without single quotes it is a host name; write "'self'"/],
    [{ scriptSrc: ['Unsafe-Inline'] }, /write "'unsafe-inline'"/],
    [{ 'frame-ancestors': ['none'] }, /write "'none'"/],
    [{ scriptSrc: ["'slef'"] }, /did you mean "'self'"/],
    [{ scriptSrc: ['"self"'] }, /did you mean "'self'"/],
    [{ baseUri: ["'unsafe-inline'"] }, /base-uri cannot have/],
    [{ scriptSrc: ["'none'", "'self'"] }, /'none' must stand alone/],
    [{ scriptSrc: [] }, /script-src is empty: give "'none'"/],
    [{ scriptSrc: ['sha256-abc='] }, /a hash stands in single quotes/],
    [{ scriptSrc: ["'nonce-abc'"] }, /must differ in each response: read reply.cspNonce/],
    [{ scriptSrc: ['http//cdn.example'] }, /is not a host/],
    [{ imgSrc: ['https://exämple.test'] }, /ASCII/],
    [{ sandbox: ['allow-form'] }, /is not a sandbox flag/],
    [{ upgradeInsecureRequests: ['1'] }, /takes no value: give \[\]/],
    [{ requireTrustedTypesFor: ['script'] }, /write "'script'"/],
    [{ webrtc: ["'allow'", "'block'"] }, /no more than 1/],
    [{ imgSrc: ["'data:'"] }, /img-src cannot have "'data:'": write data: without quotes/],
    [{ imgSrc: ['"https://img.example"'] }, /write https:\/\/img.example without quotes/],
    [{ sandbox: ["'allow-forms'"] }, /write allow-forms without quotes/],
    [{ imgSrc: ["'self'", 'data'] }, /img-src cannot have "data": without a colon it is a host name; write "data:"/],
    [{ frameAncestors: ['HTTPS'] }, /write "HTTPS:"/],
    [{ scriptSrc: ['unsafe-inlne'] }, /did you mean "'unsafe-inline'"\? \(a host of this name is given with its scheme, as "https:\/\/unsafe-inlne"\)/],
    [{ scriptSrc: ['strict_dynamic'] }, /is not a host/],
  ]
  for (const [directives, message] of refusals) {
    await t.rejects(csp(directives), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message, exitCode: 78 })
  }
})

test("default-src='self', the mistake of CherryPy's documentation, is explained wherever it stands", async t => {
  const message = /"default-src='self'"|default-src='self'/
  const wrong: readonly unknown[] = [
    "default-src='self'",
    { directives: { "default-src='self'": [] } },
    { directives: { defaultSrc: ["default-src='self'"] } },
  ]
  for (const contentSecurityPolicy of wrong) {
    await t.rejects(register({ contentSecurityPolicy }), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message, exitCode: 78 })
    await t.rejects(register({ contentSecurityPolicy }), { message: /parted by a space, not by "=".*\{ directives: \{ 'default-src': \["'self'"\] \} \}/ })
  }
  await t.rejects(register({ contentSecurityPolicy: "default-src 'self'" }), { message: /a policy is given by directive/ })
})

test('directives that CSP has given up are refused with what to use instead', async t => {
  const gone: ReadonlyArray<readonly [string, RegExp]> = [
    ['block-all-mixed-content', /upgrade-insecure-requests/], ['prefetchSrc', /default-src/], ['plugin-types', /object-src/],
    ['referrer', /referrerPolicy/], ['reflected-xss', /script-src/], ['requireSriFor', /integrityPolicy/], ['navigate-to', /form-action/],
    ['disownOpener', /crossOriginOpenerPolicy/],
  ]
  for (const [directive, message] of gone) {
    await t.rejects(csp({ [directive]: [] }), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message })
    await t.rejects(register({ contentSecurityPolicyReportOnly: { directives: { [directive]: [] } } }), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message: /contentSecurityPolicyReportOnly/ })
  }
})

test('changes of a directive that contradict each other, or say nothing, are refused', async t => {
  for (const change of [{}, { replace: ["'self'"], append: ['https:'] }, { replace: ["'self'"], remove: ['data:'] }, { append: [] }, { append: 'https:' }, { add: ['https:'] }, { append: [1] }]) {
    await t.rejects(csp({ imgSrc: change }), { code: 'FST_KEEP_SECURE_HEADERS_OPTION_INVALID', message: /imgSrc" must be null or an array of strings or functions or \{ append, remove, replace \}/ })
  }
  await t.rejects(csp({ imgSrc: { remove: ['https:'] } }), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message: /"https:" cannot be removed, it is not there. There is: 'self' data:/ })
  await t.rejects(csp({ imgSrc: { append: ["'none'"] } }), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message: /must stand alone/ })
})

test('no source can end its directive, its policy or its header', async t => {
  for (const text of ['a; script-src *', 'a;b', 'a,b', 'a\r\nSet-Cookie:x', 'a\nb', 'a b', 'a\tb', 'https://a.example/b;c', 'https://a.example/b,c', '/a;b', '/a,b', '', ' ', 'a\0']) {
    for (const directive of ['script-src', 'report-uri', 'trusted-types', 'sandbox', 'report-to', 'webrtc']) {
      await t.rejects(csp({ [directive]: [text] }), { code: 'FST_KEEP_SECURE_HEADERS_CSP' }, JSON.stringify([directive, text]))
    }
  }
})

test('a directive given in both spellings is refused', async t => {
  await t.rejects(csp({ scriptSrc: ["'self'"], 'script-src': ["'none'"] }), {
    code: 'FST_KEEP_SECURE_HEADERS_CSP', message: /given twice, as "scriptSrc" and as "script-src"/,
  })
})

test('what CSP3 has is accepted', async t => {
  await t.resolves(csp({
    scriptSrc: ["'self'", "'strict-dynamic'", "'sha256-AbC+/9d='", 'https:', 'https://cdn.example:8443/path/', 'https://*.example', '*.example:*'],
    styleSrc: ["'unsafe-inline'"],
    connectSrc: ['wss://socket.example', '*', 'localhost', 'api', 'data.example', 'data:', 'https://data', 'https://unsafe-host'],
    sandbox: ['allow-forms', 'allow-scripts'],
    trustedTypes: ['my-policy', "'allow-duplicates'"],
    requireTrustedTypesFor: ["'script'"],
    reportUri: ['/csp-reports?a=1'],
    reportTo: ['csp'],
    webrtc: ["'block'"],
    upgradeInsecureRequests: [],
    frameAncestors: undefined,
  }))
})

test('an allowlist of Permissions-Policy that the header cannot carry is refused and explained', async t => {
  const refusals: ReadonlyArray<readonly [PermissionsPolicyOptions, RegExp]> = [
    [{ camera: ["'self'"] }, /write "self": this header has no quoted keywords/],
    [{ camera: ['none'] }, /an empty array allows nobody/],
    [{ camera: ['*', 'self'] }, /"\*" stands alone/],
    [{ camera: ['cam.example'] }, /an origin in lower case/],
    [{ camera: ['https://cam.example"), geolocation=("x'] }, /an entry is/],
    [{ camera: ['https://cam.example\r\nSet-Cookie: a=b'] }, /an entry is/],
  ]
  for (const [permissionsPolicy, message] of refusals) {
    await t.rejects(register({ permissionsPolicy }), { code: 'FST_KEEP_SECURE_HEADERS_PERMISSIONS_POLICY', message, exitCode: 78 })
  }
})

test('preload is refused with what the preload list would not take', async t => {
  for (const options of [{ preload: true, maxAge: 31_535_999 }, { preload: true, includeSubDomains: false }]) {
    await t.rejects(register({ strictTransportSecurity: options }), { code: 'FST_KEEP_SECURE_HEADERS_HSTS_PRELOAD', exitCode: 78 })
  }
})

test('an error names the package and the option, of a route with its path', async t => {
  const refusals: ReadonlyArray<readonly [SecureHeadersChanges, string]> = [
    [{ contentSecurityPolicy: { directives: { scriptSrc: ['self'] } } }, 'contentSecurityPolicy.directives.scriptSrc": script-src cannot have '],
    [{ contentSecurityPolicy: { directives: { imgSrc: [] } } }, 'contentSecurityPolicy.directives.imgSrc": img-src is empty'],
    [{ contentSecurityPolicy: { directives: { sandbox: [], imgSrc: ['*'], 'img-src': ['*'] } } }, 'contentSecurityPolicy.directives": img-src is given twice'],
    [{ permissionsPolicy: { camera: ['none'] } }, 'permissionsPolicy.camera" cannot have "none"'],
    [{ strictTransportSecurity: { preload: true, maxAge: 1 } }, 'strictTransportSecurity": preload needs maxAge of at least 31536000 seconds'],
  ]
  const app = Fastify()
  await app.register(secureHeaders)
  for (const [options, rest] of refusals) {
    await t.rejects(register(options), { message: `secure-headers: option "${rest}` })
    t.throws(() => app.get('/', { secureHeaders: options }, async () => 'x'), { message: `secure-headers: option "secureHeaders.${rest}` })
  }
})

test('require() gives the plugin, and all that import gives through it', async t => {
  const script = `
    const plugin = require('@fastkeep/secure-headers')
    const { secureHeaders, errorCodes } = plugin
    console.log(typeof plugin, plugin === secureHeaders, Object.keys(errorCodes).length)
    import('@fastkeep/secure-headers').then(module => console.log(module.default === plugin, module.errorCodes === errorCodes))`
  // A process of its own: the test runner's loader would transpile the package.
  const printed = execFileSync(process.execPath, ['-e', script], { cwd: import.meta.dirname, env: {}, encoding: 'utf8' })
  t.equal(printed, `function true ${Object.keys(errorCodes).length}\ntrue true\n`)
  t.equal(named, secureHeaders)
})

test('errorCodes has the codes that the README lists, and no others', async t => {
  const readme = readFileSync(new URL('../../packages/secure-headers/README.md', import.meta.url), 'utf8')
  const listed = [...readme.matchAll(/^\| `(FST_KEEP_\w+)` \|/gm)].map(([, code]) => code)
  t.same(Object.keys(errorCodes).sort(), listed.sort())
})

test('errors are instances of the classes in errorCodes', async t => {
  await t.rejects(register({ x: 1 }), errorCodes.FST_KEEP_SECURE_HEADERS_OPTION_UNKNOWN)
  await t.rejects(csp({ scriptSrc: ['self'] }), errorCodes.FST_KEEP_SECURE_HEADERS_CSP)
})
