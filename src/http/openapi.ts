import { controlRoutes } from './control-routes.ts';
import type { Route } from './route.ts';
import { components, type JsonSchema, ref } from './schemas.ts';

/** The description of the control API, OpenAPI 3.1. */
export function openApiDocument(version: string): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of controlRoutes) {
    paths[`/api/v1${route.path}`] = {
      ...paths[`/api/v1${route.path}`],
      [route.method.toLowerCase()]: operationOf(route),
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Riser control API',
      version,
      description:
        'HTTP on the Unix socket /run/riser/control.sock, for members of group riser. Within v1 members and routes are only added. Errors are application/problem+json with a stable code and a remedy.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      { url: 'http://localhost', description: 'curl --unix-socket /run/riser/control.sock' },
    ],
    paths,
    components: { schemas: components },
  };
}

function operationOf(route: Route): JsonSchema {
  const { type, schema, description } = route.answer;
  return {
    operationId: route.operation,
    summary: route.summary,
    ...(route.query === undefined ? {} : { parameters: parametersOf(route.query) }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { content: { 'application/json': { schema: route.body } } } }),
    responses: {
      200: { description, content: { [type]: { schema } } },
      ...Object.fromEntries(
        Object.entries(route.also ?? {}).map(([status, text]) => [
          status,
          {
            description: text,
            content:
              status === '503' && type === 'application/json'
                ? { 'application/json': { schema: {} } }
                : { 'application/problem+json': { schema: ref('Problem') } },
          },
        ]),
      ),
      default: {
        description: 'What went wrong, and what to do.',
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    },
  };
}

function parametersOf(query: JsonSchema): readonly JsonSchema[] {
  const properties = query.properties as Readonly<Record<string, JsonSchema>>;
  const required = query.required as readonly string[];
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}
