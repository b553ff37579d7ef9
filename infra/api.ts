import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import { DomainName, HttpApi, HttpStage, LogGroupLogDestination, SecurityPolicy } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Domain, Settings } from './config.ts';
import { logGroupOptions } from './logs.ts';
import { apiLogGroup } from './names.ts';

/** The HTTP API: every request goes to one function, which knows the routes and who may ask. */
export class ControlApi extends Construct {
  readonly httpApi: HttpApi;
  /** Without a slash at its end. */
  readonly url: string;

  constructor(scope: Construct, id: string, options: { readonly settings: Settings; readonly handler: IFunction }) {
    super(scope, id);
    const { settings, handler } = options;
    this.httpApi = new HttpApi(this, 'Http', {
      apiName: settings.prefix,
      description: 'Sluice: the API and the webhook',
      createDefaultStage: false,
      // Who gave it a name of its own wants no second door beside it.
      ...(settings.domain ? { disableExecuteApiEndpoint: true } : {}),
      defaultIntegration: new HttpLambdaIntegration('Handler', handler),
    });
    acknowledge(this.httpApi, ownAuthorization);
    const domain = settings.domain && this.makeDomain(settings.domain);
    new HttpStage(this, 'Stage', {
      httpApi: this.httpApi,
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: settings.throttle.requestsPerSecond, burstLimit: settings.throttle.burst },
      accessLogSettings: { destination: new LogGroupLogDestination(this.makeLog(settings)), format: accessLog },
      ...(domain ? { domainMapping: { domainName: domain } } : {}),
    });
    this.url = settings.domain ? `https://${settings.domain.name}` : this.httpApi.apiEndpoint;
  }

  private makeLog(settings: Settings): LogGroup {
    return new LogGroup(this, 'AccessLog', {
      logGroupName: apiLogGroup(settings.prefix),
      ...logGroupOptions(settings),
    });
  }

  private makeDomain(domain: Domain): DomainName {
    const zone =
      domain.hostedZone &&
      HostedZone.fromHostedZoneAttributes(this, 'Zone', {
        hostedZoneId: domain.hostedZone.id,
        zoneName: domain.hostedZone.name,
      });
    const certificate =
      'certificateArn' in domain
        ? Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn)
        : new Certificate(this, 'Certificate', {
            domainName: domain.name,
            validation: CertificateValidation.fromDns(zone),
          });
    const name = new DomainName(this, 'Domain', {
      domainName: domain.name,
      certificate,
      securityPolicy: SecurityPolicy.TLS_1_2,
    });
    if (!zone) return name;
    const target = RecordTarget.fromAlias(
      new ApiGatewayv2DomainProperties(name.regionalDomainName, name.regionalHostedZoneId),
    );
    new ARecord(this, 'Record', { zone, recordName: `${domain.name}.`, target });
    return name;
  }
}

/** One line of JSON a request. No header and no query: either may hold a credential. */
const accessLog = AccessLogFormat.custom(
  JSON.stringify({
    requestId: '$context.requestId',
    at: '$context.requestTimeEpoch',
    ip: '$context.identity.sourceIp',
    method: '$context.httpMethod',
    path: '$context.path',
    status: '$context.status',
    responseBytes: '$context.responseLength',
    milliseconds: '$context.responseLatency',
    integrationMilliseconds: '$context.integrationLatency',
    integrationError: '$context.integrationErrorMessage',
    userAgent: '$context.identity.userAgent',
  }),
);

const ownAuthorization = {
  id: 'AwsSolutions-APIG4',
  reason:
    'The function authorizes every request itself: bearer tokens on the API, a signature over the bytes on the webhook; health and documentation are open.',
};
