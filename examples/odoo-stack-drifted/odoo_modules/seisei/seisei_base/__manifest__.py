{
    "name": "Seisei base",
    "summary": "What all our modules share",
    "version": "18.0.1.0.0",
    "category": "Hidden",
    "license": "LGPL-3",
    "depends": ["base"],
    "data": ["data/company.xml"],
}
