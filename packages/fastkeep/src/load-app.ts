import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import { appFailed, AppRefused } from './errors.js'

/** What an app's module exports, by {@link loadApp}'s rules. */
export type LoadedApp =
  | { readonly kind: 'instance', readonly app: FastifyInstance }
  | { readonly kind: 'factory', readonly make: (options: FastifyServerOptions) => FastifyInstance | Promise<FastifyInstance> }
  | { readonly kind: 'plugin', readonly plugin: FastifyPluginAsync, readonly options: FastifyServerOptions }

/** What Node says of TypeScript that it does not run. */
const TYPESCRIPT_REFUSALS = new Set(['ERR_UNKNOWN_FILE_EXTENSION', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX', 'ERR_NO_TYPESCRIPT', 'ERR_INVALID_TYPESCRIPT_SYNTAX'])

/** What the one parameter of a function is called that takes an instance, or options. */
const INSTANCE_NAMES = new Set(['fastify', 'app', 'instance', 'server', 'api', 'f'])
const OPTIONS_NAMES = new Set(['options', 'opts', 'config', 'settings', 'serverOptions'])

/** Marks of fastify-plugin. */
const PLUGIN_MARKS = [Symbol.for('skip-override'), Symbol.for('plugin-meta')]

/**
 * Loads an app from a module: ESM, CommonJS, or TypeScript where this Node or a loader runs it. What counts is the
 * default export, or `module.exports`:
 *
 * - a Fastify instance, or a promise of one: served as it is
 * - a function with two parameters or more, one made by fastify-plugin, or one beside an export `options`: a plugin, as
 *   fastify-cli takes it; `options` are those of the instance that it is registered on
 * - a function without a parameter that must be given (`(options = {}) => ...`): a factory
 * - a function with one parameter: a plugin or a factory by the name of it, `fastify`, `app`, `instance`, `server`, or
 *   `options`, `opts`, `config`; any other one is refused, with what to write instead
 *
 * @throws `FST_KEEP_FASTKEEP_APP_REFUSED` (exit code 78) with what was found; `FST_KEEP_FASTKEEP_APP_FAILED` (70) for a
 * module that throws
 * @example const loaded = await loadApp('app.js')
 */
export async function loadApp (file: string): Promise<LoadedApp> {
  const path = resolve(file)
  const found = resolveFile(path, file)
  const module = await importApp(found)
  const exported = await settled(exportOf(module), found)
  const options = module.options ?? (exported as { options?: unknown } | null | undefined)?.options
  if (isInstance(exported)) return { kind: 'instance', app: exported }
  if (typeof exported !== 'function') throw new AppRefused(found, `its default export must be a Fastify instance, a plugin, or a function that makes an instance, and it is ${described(exported)}`)
  if (options !== undefined && !isObject(options)) throw new AppRefused(found, `its export "options" must be an object of Fastify's options, and it is ${described(options)}`)
  return isPlugin(exported, options !== undefined && !isInstance(exported), found)
    ? { kind: 'plugin', plugin: exported as FastifyPluginAsync, options: (options ?? {}) as FastifyServerOptions }
    : { kind: 'factory', make: exported as () => FastifyInstance }
}

/** Whether a value is a Fastify instance, whichever copy of Fastify made it. */
export function isInstance (value: unknown): value is FastifyInstance {
  if (!isObject(value)) return false
  const instance = value as Partial<Record<'register' | 'inject' | 'route' | 'server', unknown>>
  return typeof instance.register === 'function' && typeof instance.inject === 'function' && typeof instance.route === 'function' && 'server' in instance
}

/** As `node` does: a path without its extension, or of a directory, names a file as well. */
function resolveFile (path: string, file: string): string {
  try {
    return createRequire(path).resolve(path)
  } catch (cause) {
    throw new AppRefused(path, existsSync(path) ? 'it is a directory without an index.js' : `there is no such file${isAbsolute(file) ? '' : `; "${file}" counts from the working directory`}`, { cause })
  }
}

async function importApp (path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href) as Record<string, unknown>
  } catch (cause) {
    const { code = '', message = String(cause) } = (cause ?? {}) as NodeJS.ErrnoException
    if (/\.[mc]?tsx?$/.test(path) && TYPESCRIPT_REFUSALS.has(code)) {
      throw new AppRefused(path, `Node ${process.version} does not run this TypeScript (${message}); install tsx and start with --import tsx, or use Node 22.18 or later`, { cause })
    }
    throw appFailed(path, cause)
  }
}

/** Of CommonJS `default` is `module.exports`, which compilers give a `default` of its own. */
function exportOf (module: Record<string, unknown>): unknown {
  const exported = 'default' in module ? module.default : module['module.exports']
  const inner = exported as { __esModule?: boolean, default?: unknown } | null | undefined
  return isObject(inner) && inner.__esModule === true && 'default' in inner ? inner.default : exported
}

/** An instance is awaited like a promise by mistake easily: it is one until its plugins have been loaded. */
async function settled (exported: unknown, path: string): Promise<unknown> {
  if (!(exported instanceof Promise)) return exported
  try {
    return await exported
  } catch (cause) {
    throw appFailed(path, cause)
  }
}

function isPlugin (exported: object & { length?: number }, hasOptions: boolean, path: string): boolean {
  if (hasOptions || PLUGIN_MARKS.some(mark => mark in exported) || (exported.length ?? 0) >= 2) return true
  if (exported.length === 0) return false
  const name = parameterOf(exported)
  if (INSTANCE_NAMES.has(name)) return true
  if (OPTIONS_NAMES.has(name)) return false
  throw new AppRefused(path, `it exports a function of one parameter${name === '' ? '' : `, "${name}"`}, which may be a plugin or a factory: write (fastify, options) for a plugin, or (options = {}) for a function that makes an instance`)
}

/** The name of the only parameter; `''` for a pattern. */
function parameterOf (exported: object): string {
  const text = Reflect.apply(Function.prototype.toString, exported, []) as string
  return /^(?:async\b\s*)?(?:function\b\s*\*?\s*[\w$]*\s*)?\(?\s*([\w$]+)/.exec(text)?.[1] ?? ''
}

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function described (value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  return isObject(value) ? `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'nothing in it'}` : `a ${typeof value}`
}
