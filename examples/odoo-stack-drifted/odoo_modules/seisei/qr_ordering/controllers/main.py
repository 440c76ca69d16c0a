from odoo import http
from odoo.http import request


class Ordering(http.Controller):
    @http.route("/order/<string:token>", auth="public", website=True)
    def menu(self, token):
        table = request.env["qr_ordering.table"].sudo().find_by_token(token)
        if not table:
            return request.not_found()
        return request.render("qr_ordering.menu", {"table": table})
