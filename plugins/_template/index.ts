import type { DriverFactory } from '#driver';
import { LineDriver } from './line-driver.ts';

const createDriver: DriverFactory = (host) => new LineDriver(host);

export default createDriver;
