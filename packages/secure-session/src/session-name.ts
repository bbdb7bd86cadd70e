import { string, type Rule } from '@fastkeep/options'

/** What Fastify 5 calls otherwise: members of a request, route options, and what this suite's packages add to these. */
const TAKEN: ReadonlySet<string> = new Set([
  'id', 'params', 'raw', 'query', 'log', 'body', 'server', 'url', 'originalUrl', 'method', 'routeOptions', 'is404', 'socket', 'signal',
  'ip', 'ips', 'host', 'hostname', 'port', 'protocol', 'headers', 'mediaType', 'getValidationFunction', 'compileValidationSchema',
  'validateInput', 'getDecorator', 'setDecorator', 'cookies', 'signCookie', 'unsignCookie',
  'path', 'handler', 'routePath', 'prefix', 'schema', 'attachValidation', 'exposeHeadRoute', 'validatorCompiler', 'serializerCompiler',
  'bodyLimit', 'handlerTimeout', 'logLevel', 'logSerializers', 'config', 'constraints', 'prefixTrailingSlash', 'errorHandler',
  'childLoggerFactory', 'schemaErrorFormatter', 'version', 'websocket', 'wsHandler', 'wsOptions', 'secureHeaders', 'clientCert', 'engine', 'then',
])

const isHook = /^(?:on|pre)[A-Z]/

const word = string('a name as of a property, of at most 64 letters, digits, _ and $, which Fastify does not use otherwise', /^[A-Za-z$_][\w$]{0,63}$/)

/** The name of a session is a property of the request, a route option, and with "Sessions" behind it one of the application. */
export const sessionName: Rule = {
  ...word,
  accepts: value => word.accepts(value) && !TAKEN.has(value as string) && !isHook.test(value as string) && !((value as string) in Object.prototype),
}
